import type { Change, Datastore, Snapshot } from "../../../datastore/datastore.ts";
import { consoleTokens, type TokenRecord } from "./token-record.ts";

const TOKENS_MAX = 10_000;
const TOKENS_OF_ASKER_MAX = 1_000;

/** All tokens, in memory by watching their records, so that counting them reads nothing. */
export class IssuedTokens implements Disposable {
  readonly #records = new Map<string, TokenRecord>();
  /** The keys of each asker, the oldest first. */
  readonly #byAsker = new Map<string, Set<string>>();
  readonly #stop: () => void;

  private constructor(datastore: Datastore, { entries, revision }: Snapshot) {
    const oldestFirst = entries.toSorted((a, b) => a.revision - b.revision);
    for (const entry of oldestFirst) this.#apply({ kind: "put", entry });
    this.#stop = datastore.watch(consoleTokens.prefix, revision, (changes) => {
      for (const change of changes) this.#apply(change);
    });
  }

  static async open(datastore: Datastore): Promise<IssuedTokens> {
    return new IssuedTokens(datastore, await datastore.snapshot(consoleTokens.prefix));
  }

  /**
   * Counts a new token.
   *
   * @returns the keys to delete for it: expired ones, and the oldest ones above the limits.
   */
  makeRoom(key: string, record: TokenRecord, nowMs: number): readonly string[] {
    const gone = [...this.#records].flatMap(([old, { expiryMs }]) =>
      expiryMs <= nowMs ? [old] : [],
    );
    for (const old of gone) this.#forget(old);
    const drop = (asker: string) => {
      const [oldest] = this.#byAsker.get(asker) ?? [];
      if (oldest === undefined) return;
      this.#forget(oldest);
      gone.push(oldest);
    };
    if ((this.#byAsker.get(record.asker)?.size ?? 0) >= TOKENS_OF_ASKER_MAX) drop(record.asker);
    if (this.#records.size >= TOKENS_MAX) {
      const [most] = [...this.#byAsker].reduce((a, b) => (b[1].size > a[1].size ? b : a));
      drop(most);
    }
    this.#add(key, record);
    return gone;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #apply(change: Change): void {
    if (change.kind === "delete") return this.#forget(change.key);
    this.#add(change.entry.key, consoleTokens.decode(change.entry.value));
  }

  #add(key: string, record: TokenRecord): void {
    this.#records.set(key, record);
    const own = this.#byAsker.get(record.asker) ?? new Set();
    this.#byAsker.set(record.asker, own.add(key));
  }

  #forget(key: string): void {
    const asker = this.#records.get(key)?.asker;
    if (asker === undefined) return;
    this.#records.delete(key);
    const own = this.#byAsker.get(asker);
    own?.delete(key);
    if (own?.size === 0) this.#byAsker.delete(asker);
  }
}
