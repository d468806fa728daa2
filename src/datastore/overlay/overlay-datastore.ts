import {
  type Change,
  ConflictError,
  type Datastore,
  type Entry,
  findTooLarge,
  type Page,
} from "../datastore.ts";
import { Watchers } from "../watchers.ts";

/** The revision of each record that was read from below by its key; 0 for one that does not exist. */
export type Reads = ReadonlyMap<string, number>;

/** A record of this layer; undefined for one that is deleted here. */
type Own = ReadonlyMap<string, Entry | undefined>;

export interface OverlayDatastore extends Datastore {
  readonly reads: Reads;
  /** Each record that was written or deleted here, with its present value. */
  changed(): ReadonlyMap<string, Entry | undefined>;
  /** The record below, as it was when it was read first. */
  before(key: string): Entry | undefined;
}

/**
 * A layer over a datastore: it reads through, and keeps all writes for itself. A record that was read once stays
 * as it was read, whoever changes it below.
 */
export async function overlayDatastore(below: Datastore): Promise<OverlayDatastore> {
  const floor = await below.revision();
  const layer = new Layer(below, floor);
  // Its parts can be taken one by one, as those of every datastore.
  return {
    get reads() {
      return layer.reads;
    },
    changed: () => layer.changed(),
    before: (key) => layer.before(key),
    get: (key) => layer.get(key),
    list: (prefix, page) => layer.list(prefix, page),
    snapshot: (prefix) => layer.snapshot(prefix),
    revision: async () => layer.revision,
    batch: (writes) => layer.batch(writes),
    checkRoom: () => {},
    watch: (...watch) => layer.watch(...watch),
    // A batch resolves after its listeners have got it.
    seen: async () => {},
    // The datastore below stays open.
    [Symbol.asyncDispose]: async () => {},
  };
}

class Layer {
  readonly #below: Datastore;
  readonly #watchers: Watchers;
  /** By the first part of their keys, so that a list looks at few. */
  readonly #own = new Map<string, Map<string, Entry | undefined>>();
  readonly #seen = new Map<string, Entry | undefined>();
  readonly #asked = new Set<string>();
  #revision: number;

  constructor(below: Datastore, floor: number) {
    this.#below = below;
    this.#revision = floor;
    this.#watchers = new Watchers(floor);
  }

  get reads(): Reads {
    return new Map([...this.#asked].map((key) => [key, this.#seen.get(key)?.revision ?? 0]));
  }

  changed(): ReadonlyMap<string, Entry | undefined> {
    return new Map([...this.#own.values()].flatMap((records) => [...records]));
  }

  before(key: string): Entry | undefined {
    return this.#seen.get(key);
  }

  async get(key: string): Promise<Entry | undefined> {
    const own = this.#ownUnder(key);
    if (own.has(key)) return own.get(key);
    this.#asked.add(key);
    if (!this.#seen.has(key)) {
      const entry = await this.#below.get(key);
      // Another read may have been faster, and the first one counts.
      if (!this.#seen.has(key)) this.#seen.set(key, entry);
    }
    return own.has(key) ? own.get(key) : this.#seen.get(key);
  }

  async list(prefix: string, page?: Page): Promise<readonly Entry[]> {
    const below = await this.#below.list(prefix);
    return paged(this.#merged(prefix, below), page);
  }

  async snapshot(prefix: string) {
    const below = await this.#below.list(prefix);
    return { entries: this.#merged(prefix, below), revision: this.#revision };
  }

  get revision(): number {
    return this.#revision;
  }

  async batch({ puts = [], deletes = [], conditions = [] }: Parameters<Datastore["batch"]>[0]) {
    const keys = [...puts, ...conditions].map(({ key }) => key);
    const present = new Map<string, Entry | undefined>();
    for (const key of [...keys, ...deletes]) {
      if (present.has(key)) continue;
      const isOwn = this.#ownUnder(key).has(key);
      // A step writes many records, and most of them are here.
      present.set(key, isOwn ? undefined : await this.get(key));
    }
    // Nothing waits from here on, so no other batch comes in between.
    for (const key of present.keys()) {
      const own = this.#ownUnder(key);
      if (own.has(key)) present.set(key, own.get(key));
    }
    for (const { key, revision } of conditions) {
      if ((present.get(key)?.revision ?? 0) !== revision) throw new ConflictError(key);
    }
    const refusal = findTooLarge(puts, (key) => present.get(key)?.value.length ?? 0);
    if (refusal !== undefined) throw refusal;
    this.#revision += 1;
    const revision = this.#revision;
    const changes: Change[] = [];
    for (const key of deletes) {
      if (present.get(key) !== undefined) changes.push({ kind: "delete", key });
      this.#write(key, undefined);
    }
    for (const { key, value } of puts) {
      const entry = { key, value, revision };
      this.#write(key, entry);
      changes.push({ kind: "put", entry });
    }
    this.#watchers.notify({ changes, revision });
    return revision;
  }

  watch(...watch: Parameters<Datastore["watch"]>): () => void {
    return this.#watchers.add(...watch);
  }

  #write(key: string, entry: Entry | undefined): void {
    const first = firstPart(key);
    let records = this.#own.get(first);
    if (records === undefined) this.#own.set(first, (records = new Map()));
    records.set(key, entry);
  }

  #ownUnder(key: string): Own {
    return this.#own.get(firstPart(key)) ?? new Map();
  }

  /** What was written below since this layer began is left out where that is known. */
  #merged(prefix: string, below: readonly Entry[]): Entry[] {
    const all = new Map<string, Entry | undefined>();
    for (const entry of below) {
      const { key } = entry;
      if (!this.#seen.has(key)) this.#seen.set(key, entry);
      all.set(key, this.#seen.get(key));
    }
    // What comes from below is in order.
    let isInOrder = true;
    for (const [first, records] of this.#own) {
      if (!prefix.startsWith(first) && !first.startsWith(prefix)) continue;
      for (const [key, entry] of records) {
        if (!key.startsWith(prefix)) continue;
        isInOrder &&= all.has(key);
        all.set(key, entry);
      }
    }
    const entries = [...all.values()].filter((entry) => entry !== undefined);
    return isInOrder ? entries : entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

/** With its slash, so that the parts of two keys are equal or neither begins with the other. */
function firstPart(key: string): string {
  return key.slice(0, key.indexOf("/") + 1);
}

function paged(entries: Entry[], page: Page | undefined): readonly Entry[] {
  if (page === undefined) return entries;
  const { after, limit, isDescending = false } = page;
  const inOrder = isDescending ? entries.reverse() : entries;
  const isAfter = (key: string) =>
    after === undefined || (isDescending ? key < after : key > after);
  return inOrder.filter(({ key }) => isAfter(key)).slice(0, limit);
}
