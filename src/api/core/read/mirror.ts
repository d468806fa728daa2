import { type Collection, decodeRecord, type KeyParts } from "../../../datastore/collection.ts";
import type { Change, Datastore } from "../../../datastore/datastore.ts";
import type { Part } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";

export type MirrorListener<T> = (
  key: string,
  before: Stored<T> | undefined,
  after: Stored<T> | undefined,
  /** That of the batch; of all records at the start. */
  revision: number,
) => void;

/**
 * A copy of a collection in memory, kept up to date by watching it, for code that needs all of it on every
 * request. It may lag behind the datastore, so a decision by it needs a condition.
 */
export class Mirror<T> implements Disposable {
  readonly #datastore: Datastore;
  readonly #of: Collection<T, Part>;
  readonly #listener: MirrorListener<T>;
  readonly #stored = new Map<string, Stored<T>>();
  #stop = () => {};

  private constructor(datastore: Datastore, of: Collection<T, Part>, listener: MirrorListener<T>) {
    this.#datastore = datastore;
    this.#of = of;
    this.#listener = listener;
  }

  static async open<T>(
    datastore: Datastore,
    of: Collection<T, Part>,
    listener: MirrorListener<T> = () => {},
  ): Promise<Mirror<T>> {
    const mirror = new Mirror(datastore, of, listener);
    const { entries, revision } = await datastore.snapshot(of.prefix);
    for (const entry of entries) mirror.#apply({ kind: "put", entry }, revision);
    mirror.#stop = datastore.watch(of.prefix, revision, (changes, batch) => {
      for (const change of changes) mirror.#apply(change, batch);
    });
    // From now on, the earlier mirrors are at this revision too, so that their contents match.
    await mirror.seen(revision);
    return mirror;
  }

  /** Resolves when it holds everything up to this revision. */
  async seen(revision: number): Promise<void> {
    await this.#datastore.seen(revision);
  }

  get(...parts: KeyParts<Part>): Stored<T> | undefined {
    return this.#stored.get(this.#of.key(...parts));
  }

  values(): MapIterator<Stored<T>> {
    return this.#stored.values();
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #apply(change: Change, revisionOfBatch: number): void {
    const key = change.kind === "put" ? change.entry.key : change.key;
    const before = this.#stored.get(key);
    if (change.kind === "delete") {
      this.#stored.delete(key);
      this.#listener(key, before, undefined, revisionOfBatch);
      return;
    }
    const { revision, value } = change.entry;
    const after = { key, revision, value: decodeRecord(this.#of, key, value) };
    this.#stored.set(key, after);
    this.#listener(key, before, after, revisionOfBatch);
  }
}
