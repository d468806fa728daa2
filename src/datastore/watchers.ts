import { N0Error } from "../util/errors.ts";
import type { Change, WatchListener } from "./datastore.ts";

/** What a batch changed. */
export interface Delivery {
  readonly changes: readonly Change[];
  readonly revision: number;
}

interface Watcher {
  readonly prefix: string;
  readonly fromRevision: number;
  readonly listener: WatchListener;
}

/** Who takes a snapshot begins to watch a moment later. This is what may be written in that moment. */
const HISTORY_BATCHES_MAX = 1_024;
const HISTORY_BYTES_MAX = 8 << 20;

/** Hands the changes of a batch to whoever watches their prefix. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  /** The last batches, oldest first. */
  readonly #history: Delivery[] = [];
  #historyBytes = 0;
  /** All batches after this revision are in the history. */
  #forgottenRevision: number;

  /** @param revision of the last batch before the first that it is notified of. */
  constructor(revision: number) {
    this.#forgottenRevision = revision;
  }

  add(prefix: string, fromRevision: number, listener: WatchListener): () => void {
    if (fromRevision < this.#forgottenRevision) {
      const message = `the changes since revision ${fromRevision} are no longer known: try again`;
      throw new N0Error("aborted", message, { retryAfterMs: 100 });
    }
    const watcher = { prefix, fromRevision, listener };
    this.#watchers.add(watcher);
    for (const missed of [...this.#history]) this.#tell(watcher, missed);
    return () => this.#watchers.delete(watcher);
  }

  notify(delivery: Delivery): void {
    this.#remember(delivery);
    // A copy: who begins to watch while being told has it from the history.
    for (const watcher of [...this.#watchers]) this.#tell(watcher, delivery);
  }

  #tell(watcher: Watcher, { changes, revision }: Delivery): void {
    if (revision <= watcher.fromRevision || !this.#watchers.has(watcher)) return;
    const mine = changes.filter((change) => keyOf(change).startsWith(watcher.prefix));
    if (mine.length === 0) return;
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

  #remember(delivery: Delivery): void {
    this.#history.push(delivery);
    this.#historyBytes += bytesOf(delivery);
    while (this.#history.length > HISTORY_BATCHES_MAX || this.#historyBytes > HISTORY_BYTES_MAX) {
      const oldest = this.#history.shift()!;
      this.#historyBytes -= bytesOf(oldest);
      this.#forgottenRevision = oldest.revision;
    }
  }
}

function keyOf(change: Change): string {
  return change.kind === "put" ? change.entry.key : change.key;
}

function bytesOf({ changes }: Delivery): number {
  let bytes = 0;
  for (const change of changes) bytes += change.kind === "put" ? change.entry.value.length : 0;
  return bytes;
}
