import { CliError } from "./errors.ts";
import type { Input } from "./io.ts";

const TEXT_BYTES_MAX = 16 << 20;

/** All of it as text. @throws CliError above 16 MiB, or where it is no UTF-8. */
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
