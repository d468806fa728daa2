import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { N0Error } from "../../../util/errors.ts";
import type { ImageChecksum } from "../../../util/image-checksum.ts";
import { refused } from "../volume-errors.ts";

export interface IntakeOptions {
  readonly bytesMax: bigint;
  readonly checksum: ImageChecksum | undefined;
  readonly onBytes: (doneBytes: bigint) => void;
}

/**
 * Writes `bytes` into a new file at `path` and returns their number. They must end by themselves, like those of
 * `guarded`.
 *
 * @throws N0Error `failed_precondition` for too many bytes or a wrong checksum.
 */
export async function takeIn(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  options: IntakeOptions,
): Promise<bigint> {
  const hash = options.checksum === undefined ? undefined : createHash(options.checksum.algorithm);
  let doneBytes = 0n;
  await using file = await open(path, "wx", 0o600);
  for await (const chunk of bytes) {
    doneBytes += BigInt(chunk.length);
    if (doneBytes > options.bytesMax) throw tooLong(options.bytesMax);
    hash?.update(chunk);
    await file.writeFile(chunk);
    options.onBytes(doneBytes);
  }
  const digest = hash?.digest("hex");
  if (digest !== options.checksum?.hex) {
    throw refused(`checksum: the source has ${options.checksum?.algorithm}:${digest}`);
  }
  return doneBytes;
}

export function tooLong(bytesMax: bigint): N0Error {
  return refused(`the source is longer than ${bytesMax} bytes, the limit of limit_bytes`);
}
