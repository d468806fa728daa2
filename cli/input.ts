import { CliError } from "./errors.ts";
import type { Input } from "./io.ts";

const TEXT_BYTES_MAX = 16 << 20;
const LINE_MAX = 4096;

/** The whole input as text. @throws CliError if it is above 16 MiB or is not UTF-8. */
export async function readAll(input: Input): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input.chunks()) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > TEXT_BYTES_MAX) throw new CliError("standard input is longer than 16 MiB");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (reason) {
    throw new CliError("standard input is not UTF-8 text", undefined, reason);
  }
}

/** One line, as a person types it; undefined if the input ends or the signal aborts before. */
export async function readLine(input: Input, signal: AbortSignal): Promise<string | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = () => aborted.resolve(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([firstLine(input), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function firstLine(input: Input): Promise<string | undefined> {
  let text = "";
  for await (const chunk of input.chunks()) {
    text += Buffer.from(chunk).toString();
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end).trim();
    if (text.length > LINE_MAX) return undefined;
  }
  return undefined;
}
