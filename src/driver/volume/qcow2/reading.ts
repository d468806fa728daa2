import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../../../util/clock.ts";
import { changedWhileRead } from "../volume-errors.ts";
import type { Exports } from "./exports.ts";
import { chainState, fileState } from "./file-state.ts";
import type { Layout } from "./layout.ts";

/** A file that holds the volume as one self-contained qcow2 file, and the validator of its bytes. */
export interface ReadableVolume {
  readonly path: string;
  readonly totalBytes: bigint;
  readonly validator: string;
  /**
   * Call it between reading bytes and returning them. @throws N0Error `aborted` if `validator` may no longer
   * fit them.
   */
  afterRead(file: FileHandle): Promise<void>;
}

/**
 * The volume's own file, which must not change while it is read. A writer, such as QEMU, changes its times
 * before its content, so a check after each read misses nothing.
 */
export async function ownFile(
  layout: Layout,
  id: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<ReadableVolume> {
  const { state, fileBytes } = await chainState(layout, id, clock, signal);
  return {
    path: layout.volume(id),
    totalBytes: fileBytes,
    validator: validatorOf(id, state),
    async afterRead(file) {
      const now = fileState(await file.stat({ bigint: true }));
      if (now !== state) throw changedWhileRead(id);
    },
  };
}

/**
 * The flattened copy of an overlay, which nobody changes: a reader can read it to the end, whatever happens to
 * the volume. Two flattened copies of one content may differ in their bytes, so the validator is made from the
 * bytes.
 */
export async function flattenedFile(
  exports: Exports,
  id: string,
  signal: AbortSignal,
): Promise<ReadableVolume> {
  const { path, totalBytes, digest } = await exports.find(id, signal);
  return {
    path,
    totalBytes,
    validator: validatorOf(id, digest),
    afterRead: async () => exports.touch(path),
  };
}

/** Short, and without characters that a header or a shell would have to quote. */
function validatorOf(id: string, content: string): string {
  return createHash("sha256").update(`${id}\n${content}`).digest("hex").slice(0, 32);
}
