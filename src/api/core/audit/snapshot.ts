import { type Collection, decodeRecord, type KeyParts } from "../../../datastore/collection.ts";
import { openCollection, transactionCollection } from "../../../datastore/datastore-journal.ts";
import type { Part } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import { referenceGuards, references } from "../../../datastore/references.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import { defined } from "../../../util/defined.ts";
import type { Api, Reader } from "../context.ts";

const PAGE = 1_000;

type Lists = ReadonlyMap<string, readonly Stored<unknown>[]>;

/**
 * All records, read one collection after the other. What was written in the meantime shows in the transactions,
 * not here.
 */
export class Snapshot implements Reader {
  readonly #lists: Lists;
  readonly #byKey = new Map<string, Stored<unknown>>();
  readonly #groups = new Map<unknown, ReadonlyMap<string, readonly Stored<unknown>[]>>();
  /** The ids that are marked as open. */
  readonly openMarks: readonly string[];
  /** The transactions that were open. */
  readonly open: readonly TransactionHeader[];

  private constructor(lists: Lists, marks: readonly string[], open: readonly TransactionHeader[]) {
    this.#lists = lists;
    this.openMarks = marks;
    this.open = open;
    for (const stored of lists.values()) for (const one of stored) this.#byKey.set(one.key, one);
  }

  /**
   * Reads the open transactions first; a watcher sees the later ones. Records that have not changed since
   * `earlier` are in memory only once.
   */
  static async read(
    { datastore, records, kinds }: Pick<Api, "datastore" | "records" | "kinds">,
    earlier?: Snapshot,
  ): Promise<Snapshot> {
    const marks = (await records.list(openCollection)).map(
      ({ key }) => openCollection.parts(key)[0]!,
    );
    const headers = await Promise.all(marks.map((id) => records.find(transactionCollection, id)));
    const open = headers
      .flatMap((stored) => (stored === undefined ? [] : [stored.value]))
      .filter(({ state }) => state !== "done" && state !== "unwound");
    const lists = new Map<string, readonly Stored<unknown>[]>();
    const collections = kinds.flatMap((kind) => [kind.collection, ...kind.records, ...kind.traces]);
    for (const of of [...collections, references, referenceGuards]) {
      lists.set(of.prefix, await Snapshot.#list(datastore, of, earlier));
    }
    return new Snapshot(lists, marks, open);
  }

  /** A whole collection, by pages, so that little is read that is not kept. */
  static async #list<T>(
    datastore: Api["datastore"],
    of: Collection<T, Part>,
    earlier: Snapshot | undefined,
  ): Promise<readonly Stored<T>[]> {
    const all: Stored<T>[] = [];
    for (;;) {
      const after = all.at(-1)?.key;
      // Not through the cache of records, which all of them would fill.
      const page = await datastore.list(of.prefix, { limit: PAGE, ...defined({ after }) });
      for (const { key, revision, value } of page) {
        const known = earlier === undefined ? undefined : earlier.#byKey.get(key);
        all.push(
          known?.revision === revision
            ? (known as Stored<T>)
            : { key, revision, value: decodeRecord(of, key, value) },
        );
      }
      if (page.length < PAGE) return all;
    }
  }

  get records(): Reader["records"] {
    return { find: async (of, ...parts) => this.find(of, ...parts) };
  }

  find<T, F extends Part>(of: Collection<T, F>, ...parts: KeyParts<F>): Stored<T> | undefined {
    // A key belongs to one collection, so its value has the type of that collection.
    return this.#byKey.get(of.key(...parts)) as Stored<T> | undefined;
  }

  list<T>(of: Collection<T, Part>): readonly Stored<T>[] {
    return (this.#lists.get(of.prefix) ?? []) as readonly Stored<T>[];
  }

  /**
   * The records of a collection, grouped by the result of `groupOf`. Each such function groups one collection.
   */
  by<T>(
    of: Collection<T, Part>,
    groupOf: (stored: Stored<T>) => string,
  ): ReadonlyMap<string, readonly Stored<T>[]> {
    const groups = this.#groups.get(groupOf) ?? Map.groupBy(this.list(of), groupOf);
    this.#groups.set(groupOf, groups);
    return groups as ReadonlyMap<string, readonly Stored<T>[]>;
  }
}
