import { decodeRecord, put, unchanged } from "../../../datastore/collection.ts";
import {
  type Change,
  type Condition,
  ConflictError,
  caughtUp,
  type Datastore,
  merge,
  type Writes,
} from "../../../datastore/datastore.ts";
import { backoffMs } from "../../../util/backoff.ts";
import type { Clock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { newKeyedMutex } from "../../../util/keyed-mutex.ts";
import type { Random } from "../../../util/random.ts";
import { formatRef } from "../../../util/ref.ts";
import { AMOUNTS, type AmountName, isAmountName, type Lack, lackText } from "./amounts.ts";
import {
  holderText,
  quotaOfDomain,
  quotaOfProject,
  quotaRef,
  quotas,
  quotaTurns,
} from "./collection.ts";
import type { Counting, Share } from "./counting.ts";
import { Tally } from "./tally.ts";

const TRIES_MAX = 32;
const TURN = { firstMs: 10, maxMs: 1_000 };

interface Limits {
  readonly revision: number;
  readonly limits: ReadonlyMap<AmountName, bigint>;
}
const NO_LIMITS: Limits = { revision: 0, limits: new Map() };

export interface QuotasOptions {
  readonly datastore: Datastore;
  readonly countings: readonly Counting[];
  readonly domainOf: (project: string) => string;
  readonly clock: Pick<Clock, "sleep">;
  readonly random: Random;
}

/**
 * What projects and domains use, and the quotas that bound it. The use is the sum over the records, kept up to
 * date by watching them. See docs/adr/0050.
 */
export class Quotas implements Disposable {
  readonly #datastore: Datastore;
  readonly #clock: Pick<Clock, "sleep">;
  readonly #random: Random;
  readonly #countings: ReadonlyMap<string, Counting>;
  readonly #tally: Tally;
  /** By key of the record. */
  readonly #shares = new Map<string, Share>();
  /** By the bytes of the record, which come back when they are written. */
  readonly #decoded = new WeakMap<Uint8Array, Share>();
  readonly #limits = new Map<string, Limits>();
  /** The revision of the turn of each quota, whoever has it. */
  readonly #turns = new Map<string, number>();
  /** The turns that this process has taken. */
  readonly #ownTurns = new Map<string, number>();
  /** How often others took the turn since this process granted last. */
  readonly #losses = new Map<string, number>();
  readonly #mutex = newKeyedMutex();
  readonly #stops = new DisposableStack();

  private constructor({ datastore, countings, domainOf, clock, random }: QuotasOptions) {
    this.#datastore = datastore;
    this.#tally = new Tally((project) => [
      quotaOfProject(project),
      quotaOfDomain(domainOf(project)),
    ]);
    this.#clock = clock;
    this.#random = random;
    this.#countings = new Map(countings.map((counting) => [counting.prefix, counting]));
  }

  static async open(options: QuotasOptions): Promise<Quotas> {
    const opened = new Quotas(options);
    for (const { prefix } of options.countings) await opened.#follow(prefix, opened.#onRecord);
    await opened.#follow(quotaTurns.prefix, opened.#onTurn);
    await opened.#follow(quotas.prefix, opened.#onQuota);
    return opened;
  }

  /** The use of each amount. @param name of a quota, which need not exist. */
  used(name: string): Record<AmountName, bigint> {
    const entries = AMOUNTS.map((amount) => [amount, this.#tally.used(name, amount)] as const);
    return Object.fromEntries(entries) as Record<AmountName, bigint>;
  }

  /**
   * A batch whose records may take more. It is written on the conditions that no limit has changed, and that no
   * other process has granted anything that this one has not counted.
   *
   * @throws N0Error `resource_exhausted` that names every amount that is not left.
   */
  async batch(writes: Writes): Promise<number> {
    const shares = this.#sharesIn(writes);
    if (shares.length === 0) return await this.#datastore.batch(writes);
    for (let tries = 1; ; tries++) {
      try {
        return await this.#grant(writes, shares);
      } catch (reason) {
        const isOurs = reason instanceof ConflictError && isOwnKey(reason.key);
        if (!isOurs || tries >= TRIES_MAX) throw reason;
        await caughtUp(this.#datastore);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#stops.dispose();
  }

  /** Of the records that count for more than before. */
  #sharesIn({ puts = [] }: Writes): Share[] {
    const shares: Share[] = [];
    for (const { key, value } of puts) {
      const share = this.#shareOf(key, value);
      if (share === undefined || this.#shares.get(key)?.amounts === share.amounts) continue;
      // A copy, because the record's own share counts beside it for a moment.
      shares.push({ ...share });
    }
    return shares;
  }

  #shareOf(key: string, value: Uint8Array): Share | undefined {
    const counting = this.#countings.get(prefixOf(key));
    if (counting === undefined) return undefined;
    let share = this.#decoded.get(value);
    if (share === undefined) {
      share = counting.shareOf(key, value);
      if (share !== undefined) this.#decoded.set(value, share);
    }
    return share;
  }

  /** @throws ConflictError if others have written meanwhile, or if it had to take a turn first. */
  async #grant(writes: Writes, shares: readonly Share[]): Promise<number> {
    const targets = new Set(shares.flatMap(({ project }) => this.#tally.targetsOf(project)));
    if (!targets.values().some((target) => this.#limitsOf(target).limits.size > 0)) {
      return await this.#datastore.batch(merge(writes, this.#unchangedLimits(targets)));
    }
    using asked = new Asked(this.#tally, shares);
    const bounded: string[] = [];
    for (const [target, by] of asked.grown) {
      const { limits } = this.#limitsOf(target);
      if (by.keys().some((name) => limits.has(name))) bounded.push(target);
    }
    const unchangedLimits = this.#unchangedLimits(asked.grown.keys());
    if (bounded.length === 0) return await this.#datastore.batch(merge(writes, unchangedLimits));

    this.#throwIfLacking(asked);
    const others = bounded.filter((target) => !this.#ownTurns.has(target));
    if (others.length > 0) {
      asked[Symbol.dispose]();
      for (const target of others) await this.#takeTurn(target);
      // What is left may have changed.
      throw new ConflictError(quotaTurns.key(others[0]!));
    }
    const ownTurns = bounded.map((target): Condition => {
      return { key: quotaTurns.key(target), revision: this.#ownTurns.get(target)! };
    });
    const revision = await this.#datastore.batch(
      merge(writes, unchangedLimits, { conditions: ownTurns }),
    );
    // The shares count until the records themselves do.
    await this.#datastore.seen(revision);
    for (const target of bounded) this.#losses.delete(target);
    return revision;
  }

  #limitsOf(target: string): Limits {
    return this.#limits.get(target) ?? NO_LIMITS;
  }

  #unchangedLimits(targets: Iterable<string>): Writes {
    const conditions = Array.from(targets, (target): Condition => {
      return { key: quotas.key(quotaRef(target)), revision: this.#limitsOf(target).revision };
    });
    return { conditions };
  }

  /**
   * From its result on, only this process grants, and has counted what others have granted before, until
   * another one takes the turn.
   */
  async #takeTurn(target: string): Promise<void> {
    await this.#mutex.run(target, async () => {
      if (this.#ownTurns.has(target)) return;
      const losses = this.#losses.get(target) ?? 0;
      // The other process gets some time to grant what waits there, or the two would only take turns.
      if (losses > 0) await this.#clock.sleep(backoffMs(TURN, losses, this.#random));
      const before = this.#turns.get(target) ?? 0;
      const revision = await this.#datastore.batch(
        merge(put(quotaTurns, [target], {}), unchanged(quotaTurns, [target], before)),
      );
      await this.#datastore.seen(revision);
      if (this.#turns.get(target) === revision) this.#ownTurns.set(target, revision);
    });
  }

  #throwIfLacking(asked: Asked): void {
    const lacking = Array.from(asked.grown.keys()).flatMap((target) => {
      const lacks = asked.lacks(target, this.#limitsOf(target).limits);
      if (lacks.length === 0) return [];
      const what = lacks.map(lackText).join("; ");
      return [{ target, text: `${holderText(target)} has no quota left for ${what}` }];
    });
    if (lacking.length === 0) return;
    throw new N0Error("resource_exhausted", lacking.map(({ text }) => text).join("; "), {
      resource: formatRef(quotaRef(lacking[0]!.target)),
    });
  }

  async #follow(prefix: string, listener: (change: Change) => void): Promise<void> {
    const { entries, revision } = await this.#datastore.snapshot(prefix);
    for (const entry of entries) listener({ kind: "put", entry });
    const stop = this.#datastore.watch(prefix, revision, (changes) => {
      for (const change of changes) listener(change);
    });
    this.#stops.defer(stop);
    await this.#datastore.seen(revision);
  }

  readonly #onRecord = (change: Change): void => {
    const key = keyOf(change);
    const before = this.#shares.get(key);
    const after = change.kind === "put" ? this.#shareOf(key, change.entry.value) : undefined;
    // First the new one, so that the sum is never too small in between.
    if (after !== undefined) this.#tally.add(after);
    if (before !== undefined) this.#tally.remove(before);
    if (after === undefined) this.#shares.delete(key);
    else this.#shares.set(key, after);
  };

  readonly #onTurn = (change: Change): void => {
    const target = quotaTurns.parts(keyOf(change))[0];
    const revision = change.kind === "put" ? change.entry.revision : 0;
    this.#turns.set(target, revision);
    if ((this.#ownTurns.get(target) ?? revision) === revision) return;
    this.#ownTurns.delete(target);
    this.#losses.set(target, (this.#losses.get(target) ?? 0) + 1);
  };

  readonly #onQuota = (change: Change): void => {
    const key = keyOf(change);
    const { name } = quotas.refOf(key);
    if (change.kind === "delete") return void this.#limits.delete(name);
    const { revision, value } = change.entry;
    const limits = new Map<AmountName, bigint>();
    for (const [amount, limit] of Object.entries(decodeRecord(quotas, key, value).limits)) {
      if (isAmountName(amount)) limits.set(amount, limit);
    }
    this.#limits.set(name, { revision, limits });
  };
}

/** Shares that are asked for. They count until this is disposed of. */
class Asked implements Disposable {
  /** By the name of the quota: the amounts of which the shares take more than is counted already. */
  readonly grown: ReadonlyMap<string, ReadonlyMap<AmountName, bigint>>;
  readonly #tally: Tally;
  readonly #shares: readonly Share[];
  #isCounted = true;

  constructor(tally: Tally, shares: readonly Share[]) {
    this.#tally = tally;
    this.#shares = shares;
    const grown = new Map<string, Map<AmountName, bigint>>();
    for (const share of shares) {
      const { targets, by } = tally.add(share);
      if (by.length === 0) continue;
      for (const target of targets) {
        const ofTarget = grown.get(target) ?? new Map<AmountName, bigint>();
        for (const [name, amount] of by) ofTarget.set(name, (ofTarget.get(name) ?? 0n) + amount);
        grown.set(target, ofTarget);
      }
    }
    this.grown = grown;
  }

  lacks(target: string, limits: ReadonlyMap<AmountName, bigint>): Lack[] {
    const by = this.grown.get(target) ?? new Map<AmountName, bigint>();
    return Array.from(by).flatMap(([name, asked]) => {
      const allowed = limits.get(name);
      const used = this.#tally.used(target, name) - asked;
      if (allowed === undefined || used + asked <= allowed) return [];
      return [{ name, used, asked, allowed }];
    });
  }

  [Symbol.dispose](): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    for (const share of this.#shares) this.#tally.remove(share);
  }
}

function isOwnKey(key: string): boolean {
  return key.startsWith(quotaTurns.prefix) || key.startsWith(quotas.prefix);
}

function keyOf(change: Change): string {
  return change.kind === "put" ? change.entry.key : change.key;
}

function prefixOf(key: string): string {
  return key.slice(0, key.indexOf("/") + 1);
}
