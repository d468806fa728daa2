import type { Change, WatchListener } from "./datastore.ts";

/** Hands the changes of a batch to whoever watches their prefix. */
export class Watchers {
  readonly #listeners = new Set<{ readonly prefix: string; readonly listener: WatchListener }>();

  add(prefix: string, listener: WatchListener): () => void {
    const watcher = { prefix, listener };
    this.#listeners.add(watcher);
    return () => this.#listeners.delete(watcher);
  }

  notify(changes: readonly Change[], revision: number): void {
    // A copy: who begins to watch while being told is told of later batches only.
    for (const watcher of [...this.#listeners]) {
      const mine = changes.filter((change) => keyOf(change).startsWith(watcher.prefix));
      if (mine.length === 0 || !this.#listeners.has(watcher)) continue;
      try {
        watcher.listener(mine, revision);
      } catch (reason) {
        // The batch stands and the others are told. What this listener keeps is wrong from here on, so
        // it is for the process to end and start anew.
        queueMicrotask(() => {
          throw reason;
        });
      }
    }
  }
}

function keyOf(change: Change): string {
  return change.kind === "put" ? change.entry.key : change.key;
}
