import { N0Error } from "../util/errors.ts";
import type { Change, WatchListener } from "./datastore.ts";

/** The changes of a batch. */
export interface Delivery {
  readonly changes: readonly Change[];
  readonly revision: number;
}

interface Watcher {
  readonly prefix: string;
  readonly fromRevision: number;
  readonly listener: WatchListener;
}

/**
 * A caller that takes a snapshot begins to watch a moment later. The history covers what is written in
 * between.
 */
const HISTORY_BATCHES_MAX = 1_024;
const HISTORY_BYTES_MAX = 8 << 20;

/** Passes the changes of a batch to the watchers of their prefix. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  /** The last batches, oldest first. */
  readonly #history: Delivery[] = [];
  #historyBytes = 0;
  /** All batches after this revision are in the history. */
  #forgottenRevision: number;

  /** @param revision the revision of the last batch before the first notification. */
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
    // A copy, because a watcher that begins meanwhile gets this batch from the history.
    for (const watcher of [...this.#watchers]) this.#tell(watcher, delivery);
  }

  #tell(watcher: Watcher, { changes, revision }: Delivery): void {
    if (revision <= watcher.fromRevision || !this.#watchers.has(watcher)) return;
    const mine = changesUnder(watcher.prefix, changes);
    if (mine === undefined) return;
    try {
      watcher.listener(mine, revision);
    } catch (reason) {
      // The batch is written, and the other listeners get it. The data of this listener is wrong from here
      // on, so the process must end and start again.
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

/** Undefined for none, as for most of the watchers of a batch: they get no array then. */
function changesUnder(prefix: string, changes: readonly Change[]): Change[] | undefined {
  let mine: Change[] | undefined;
  for (const change of changes) {
    if (!keyOf(change).startsWith(prefix)) continue;
    mine ??= [];
    mine.push(change);
  }
  return mine;
}

function keyOf(change: Change): string {
  return change.kind === "put" ? change.entry.key : change.key;
}

function bytesOf({ changes }: Delivery): number {
  let bytes = 0;
  for (const change of changes) bytes += change.kind === "put" ? change.entry.value.length : 0;
  return bytes;
}
