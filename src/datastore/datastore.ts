import { N0Error } from "../util/errors.ts";
import { keyText } from "./key.ts";

/** One record. `revision` is that of the batch that wrote it last. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** Holds while the key's revision is this; 0 means that there is no such record. */
export interface Condition {
  readonly key: string;
  readonly revision: number;
}

/** The largest record, unless its collection says more. See docs/adr/0035. */
export const RECORD_BYTES_MAX = 256 << 10;

export interface Put {
  readonly key: string;
  readonly value: Uint8Array;
  /** How large the record may be: `RECORD_BYTES_MAX` unless told. */
  readonly bytesMax?: number;
}

export interface Writes {
  readonly puts?: readonly Put[];
  readonly deletes?: readonly string[];
  readonly conditions?: readonly Condition[];
}

/** What a batch changed: an entry that is there now, or the key of one that is gone. */
export type Change =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "delete"; readonly key: string };

export type WatchListener = (changes: readonly Change[], revision: number) => void;

/** Records as they were at one revision. */
export interface Snapshot {
  readonly entries: readonly Entry[];
  readonly revision: number;
}

export interface Page {
  /** Only keys after this one, in the order asked for. */
  readonly after?: string;
  readonly limit: number;
  /** The last key first. */
  readonly isDescending?: boolean;
}

/**
 * Ordered records under string keys. Implementations pass `datastore.suite.ts`.
 *
 * Keys are printable ASCII, as a collection makes them, and sort by their bytes. Revisions grow by every
 * batch and are never used again. What cannot be read is N0Error `unavailable`.
 */
export interface Datastore extends AsyncDisposable {
  get(key: string): Promise<Entry | undefined>;

  /** The records whose keys begin with `prefix`, in key order unless the page says otherwise. */
  list(prefix: string, page?: Page): Promise<readonly Entry[]>;

  /** As `list`, of all records at once, with the revision to watch from: no change falls in between. */
  snapshot(prefix: string): Promise<Snapshot>;

  /** The revision of the last batch. */
  revision(): Promise<number>;

  /**
   * Writes all or nothing, durably, if every condition holds. Batches take effect in the order they are
   * asked for. A key stands in `puts` or in `deletes`, once: etcd takes no other.
   *
   * @returns the batch's revision.
   * @throws ConflictError when a condition does not hold; N0Error `invalid_argument` for a record that is
   *   too large, and `unavailable` when it could not be written, and then it surely was not.
   */
  batch(writes: Writes): Promise<number>;

  /**
   * For who is about to begin something: what is written to end what was begun is written in any case.
   *
   * @throws N0Error `resource_exhausted` where the disk is full, and only what it keeps for that is left.
   */
  checkRoom(): void;

  /**
   * Calls `listener` with what each batch after `fromRevision` changed under `prefix`: in order, a batch at a
   * time, each once. It may be called before this returns, and long after the batch has resolved for its
   * writer. All listeners are told of a batch before any is told of the next one, in the order in which they
   * began. A listener that throws ends the process.
   *
   * @param fromRevision that of a snapshot, or of a batch, of a moment ago.
   * @returns a function that ends it.
   * @throws N0Error `aborted` where the changes since are no longer known: take a snapshot again.
   */
  watch(prefix: string, fromRevision: number, listener: WatchListener): () => void;

  /** Resolves when the listeners have been told of every batch up to this revision. */
  seen(revision: number): Promise<void>;
}

/** Resolves when the listeners have been told of every batch that was written before this was called. */
export async function caughtUp(datastore: Pick<Datastore, "revision" | "seen">): Promise<void> {
  await datastore.seen(await datastore.revision());
}

/** A condition of a batch did not hold: somebody else was faster. */
export class ConflictError extends Error {
  override name = "ConflictError";
  readonly key: string;

  constructor(key: string) {
    super(`the record ${key} has changed`);
    this.key = key;
  }
}

/**
 * The refusal of the first record that is larger than it may be. One that is there already and too large,
 * from before there was a limit, may be written again: nobody could delete its object else.
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

/** All of these, as one batch. */
export function merge(...parts: readonly Writes[]): Writes {
  return {
    puts: parts.flatMap((part) => part.puts ?? []),
    deletes: parts.flatMap((part) => part.deletes ?? []),
    conditions: parts.flatMap((part) => part.conditions ?? []),
  };
}
