import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../../../util/clock.ts";
import { changedWhileRead } from "../volume-errors.ts";
import type { Exports } from "./exports.ts";
import { chainState, fileState } from "./file-state.ts";
import type { Layout } from "./layout.ts";

/** A file that holds the volume as one self-contained qcow2 file, and what stands for its bytes. */
export interface ReadableVolume {
  readonly path: string;
  readonly totalBytes: bigint;
  readonly validator: string;
  /**
   * To be called between reading bytes and handing them on. @throws N0Error `aborted` where they may not
   * be those that `validator` stands for.
   */
  afterRead(file: FileHandle): Promise<void>;
}

/**
 * The volume's own file, which must stay as it is while it is read. What QEMU or anybody else writes to
 * it changes its times before its content, so a look after each read misses nothing.
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
 * An overlay's flattened copy, which nobody changes: who began to read it may end, whatever becomes of
 * the volume. Two flattenings of one content may differ in their bytes, so the bytes themselves are what
 * the validator is made of.
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

/** Short, and without what a header or a shell would have to quote. */
function validatorOf(id: string, content: string): string {
  return createHash("sha256").update(`${id}\n${content}`).digest("hex").slice(0, 32);
}
