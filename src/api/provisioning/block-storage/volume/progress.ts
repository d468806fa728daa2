export interface ProgressShown {
  readonly doneBytes: bigint;
  readonly totalBytes: bigint;
}

/** How far the disks are that are being fetched or copied now. Only for showing; nothing rests on it. */
export class ProgressBoard {
  readonly #shown = new Map<string, ProgressShown>();
  readonly #listeners = new Set<(name: string) => void>();

  get(name: string): ProgressShown | undefined {
    return this.#shown.get(name);
  }

  set(name: string, progress: ProgressShown): void {
    this.#shown.set(name, progress);
    for (const listener of this.#listeners) listener(name);
  }

  delete(name: string): void {
    this.#shown.delete(name);
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
