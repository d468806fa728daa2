import { N0Error } from "../util/errors.ts";
import { keyText } from "./key.ts";

/** One record. `revision` is the revision of the batch that wrote it last. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** Holds while the record has this revision. 0 means that there is no record. */
export interface Condition {
  readonly key: string;
  readonly revision: number;
}

/** The maximum size of a record, unless its collection allows more. See docs/adr/0035. */
export const RECORD_BYTES_MAX = 256 << 10;

export interface Put {
  readonly key: string;
  readonly value: Uint8Array;
  /** The maximum size of the record; `RECORD_BYTES_MAX` by default. */
  readonly bytesMax?: number;
}

export interface Writes {
  readonly puts?: readonly Put[];
  readonly deletes?: readonly string[];
  readonly conditions?: readonly Condition[];
}

/** A change of a batch: a new entry, or the key of a deleted record. */
export type Change =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "delete"; readonly key: string };

export type WatchListener = (changes: readonly Change[], revision: number) => void;

/** The records as they were at one revision. */
export interface Snapshot {
  readonly entries: readonly Entry[];
  readonly revision: number;
}

export interface Page {
  /** Only keys after this one, in the requested order. */
  readonly after?: string;
  readonly limit: number;
  /** True for the last key first. */
  readonly isDescending?: boolean;
}

/**
 * Ordered records under string keys. Implementations pass `datastore.suite.ts`.
 *
 * Keys are printable ASCII, as a collection makes them, and sort by their bytes. Revisions grow with every
 * batch and are never used again. A failed read throws N0Error `unavailable`.
 */
export interface Datastore extends AsyncDisposable {
  get(key: string): Promise<Entry | undefined>;

  /** The records whose keys begin with `prefix`, in key order unless the page says otherwise. */
  list(prefix: string, page?: Page): Promise<readonly Entry[]>;

  /**
   * Like `list`, for all records at once, with the revision from which to watch, so that no change is lost
   * in between.
   */
  snapshot(prefix: string): Promise<Snapshot>;

  /** The revision of the last batch. */
  revision(): Promise<number>;

  /**
   * Writes all or nothing, durably, if every condition holds. Batches take effect in the order of the
   * calls. A key is in `puts` or in `deletes`, at most once, because etcd requires that.
   *
   * @returns the revision of the batch.
   * @throws ConflictError if a condition does not hold; N0Error `invalid_argument` for a record that is too
   *   large, and `unavailable` if the batch was certainly not written.
   */
  batch(writes: Writes): Promise<number>;

  /**
   * Call it before you begin something new. Writes that end open work succeed in any case.
   *
   * @throws N0Error `resource_exhausted` if the file system is full, and only the room that it keeps for
   *   open work is left.
   */
  checkRoom(): void;

  /**
   * Calls `listener` with the changes under `prefix` of each batch after `fromRevision`: in order, one
   * batch at a time, each once. The call can come before this method returns, and long after the batch has
   * resolved for its writer. All listeners get a batch before any gets the next one, in the order in which
   * they began. A listener that throws ends the process.
   *
   * @param fromRevision the revision of a recent snapshot or batch.
   * @returns a function that ends the watch.
   * @throws N0Error `aborted` if the changes since then are no longer known: take a snapshot again.
   */
  watch(prefix: string, fromRevision: number, listener: WatchListener): () => void;

  /** Resolves when the listeners have got every batch up to this revision. */
  seen(revision: number): Promise<void>;
}

/** Resolves when the listeners have got every batch that was written before this call. */
export async function caughtUp(datastore: Pick<Datastore, "revision" | "seen">): Promise<void> {
  await datastore.seen(await datastore.revision());
}

/** A condition of a batch did not hold, because another writer was faster. */
export class ConflictError extends Error {
  override name = "ConflictError";
  readonly key: string;

  constructor(key: string) {
    super(`the record ${key} has changed`);
    this.key = key;
  }
}

/**
 * The error for the first record that is too large. A record that was too large before this limit existed
 * may be written again, because otherwise nobody could delete its object.
 */
export function findTooLarge(
  puts: readonly Put[],
  presentBytes: (key: string) => number,
): N0Error | undefined {
  for (const { key, value, bytesMax = RECORD_BYTES_MAX } of puts) {
    if (value.length <= bytesMax || presentBytes(key) > bytesMax) continue;
    return new N0Error(
      "invalid_argument",
      `the record ${keyText(key)} would have ${value.length} bytes, and may have ${bytesMax}: make what it holds shorter`,
      { resource: keyText(key) },
    );
  }
  return undefined;
}

/** Joins these writes into one batch. */
export function merge(...parts: readonly Writes[]): Writes {
  return {
    puts: parts.flatMap((part) => part.puts ?? []),
    deletes: parts.flatMap((part) => part.deletes ?? []),
    conditions: parts.flatMap((part) => part.conditions ?? []),
  };
}
