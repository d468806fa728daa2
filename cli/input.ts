import { readFile } from "node:fs/promises";
import { CliError } from "./errors.ts";
import type { Input } from "./io.ts";

const TEXT_BYTES_MAX = 16 << 20;
const LINE_MAX = 4096;

/** The whole input as text. @throws CliError if it is above 16 MiB or is not UTF-8. */
export async function readAll(input: Input): Promise<string> {
  return decoded(await readBytes(input), "standard input");
}

/**
 * The text of a file, or of standard input for `-`.
 *
 * @throws CliError that names the flag.
 */
export async function readText(flag: string, path: string, stdin: Input): Promise<string> {
  const what = path === "-" ? "standard input" : path;
  const bytes =
    path === "-"
      ? await readBytes(stdin)
      : await readFile(path).catch((reason: unknown) => {
          throw new CliError(`${flag}: cannot read ${path}`, undefined, reason);
        });
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    throw new CliError(`${flag}: ${what} is compressed: give the text as it was before`);
  }
  return decoded(bytes, `${flag}: ${what}`);
}

async function readBytes(input: Input): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input.chunks()) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > TEXT_BYTES_MAX) throw new CliError("standard input is longer than 16 MiB");
  }
  return Buffer.concat(chunks);
}

function decoded(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (reason) {
    throw new CliError(`${what} is not UTF-8 text`, undefined, reason);
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
