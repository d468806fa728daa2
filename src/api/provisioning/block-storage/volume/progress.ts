import { objectKey } from "../../../../datastore/key.ts";
import type { Ref } from "../../../../util/ref.ts";

export interface ProgressShown {
  readonly doneBytes: bigint;
  readonly totalBytes: bigint;
}

/** The progress of block storages that are being fetched or copied. It is only shown; nothing depends on it. */
export class ProgressBoard {
  /** By the key of the block storage. */
  readonly #shown = new Map<string, ProgressShown>();
  readonly #listeners = new Set<(ref: Ref) => void>();

  get(ref: Ref): ProgressShown | undefined {
    return this.#shown.get(objectKey(ref));
  }

  set(ref: Ref, progress: ProgressShown): void {
    this.#shown.set(objectKey(ref), progress);
    for (const listener of this.#listeners) listener(ref);
  }

  delete(ref: Ref): void {
    this.#shown.delete(objectKey(ref));
  }

  onChange(listener: (ref: Ref) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
