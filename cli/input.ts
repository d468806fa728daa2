import { CliError } from "./errors.ts";
import type { Input } from "./io.ts";

const TEXT_BYTES_MAX = 16 << 20;

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
