import type { AmountName, Amounts } from "../../src/api/core/quota/amounts.ts";
import { entriesOf, largest } from "../../src/api/core/quota/amounts.ts";
import { quotaOfDomain, quotaOfProject, quotas } from "../../src/api/core/quota/collection.ts";
import type { Counting, Share } from "../../src/api/core/quota/counting.ts";
import { resources } from "../../src/api/resources.ts";
import type { Writes } from "../../src/datastore/datastore.ts";
import { DEFAULT_SCOPE } from "../../src/util/ref.ts";

const COUNTINGS: readonly Counting[] = resources.flatMap(({ counts }) => counts);

/**
 * What each quota allows and what is used of it, by the batches alone, in the order in which they became durable.
 * All projects are in one domain.
 */
export class QuotaLedger {
  readonly violations: string[] = [];
  readonly #shares = new Map<string, Share>();
  /** By group: its shares by the keys of their records. */
  readonly #groups = new Map<string, Map<string, Share>>();
  readonly #used = new Map<string, bigint>();
  readonly #limits = new Map<string, ReadonlyMap<string, bigint>>();

  /** No batch takes more of an amount than a quota allowed before it. */
  onBatch({ puts = [], deletes = [] }: Writes): void {
    const before = new Map<string, bigint>();
    for (const key of deletes) this.#count(key, undefined, before);
    for (const { key, value } of puts) {
      const counting = COUNTINGS.find(({ prefix }) => key.startsWith(prefix));
      if (counting !== undefined) this.#count(key, counting.shareOf(key, value), before);
    }
    for (const [slot, was] of before) this.#check(slot, was);
    for (const key of deletes) if (key.startsWith(quotas.prefix)) this.#limits.delete(nameOf(key));
    for (const { key, value } of puts) {
      if (!key.startsWith(quotas.prefix)) continue;
      this.#limits.set(nameOf(key), new Map(Object.entries(quotas.decode(value).limits)));
    }
  }

  #check(slot: string, was: bigint): void {
    const [quota = "", name = ""] = slot.split(" ");
    const limit = this.#limits.get(quota)?.get(name);
    const used = this.#used.get(slot) ?? 0n;
    if (limit === undefined || used <= was || used <= limit) return;
    this.violations.push(`${quota} allowed ${limit} ${name}, and ${used} are used after ${was}`);
  }

  #count(key: string, share: Share | undefined, before: Map<string, bigint>): void {
    const old = this.#shares.get(key);
    if (old !== undefined) this.#change(old, key, undefined, before);
    if (share === undefined) this.#shares.delete(key);
    else {
      this.#shares.set(key, share);
      this.#change(share, key, share, before);
    }
  }

  #change(
    { project, group }: Share,
    key: string,
    share: Share | undefined,
    before: Map<string, bigint>,
  ): void {
    const id = `${project}/${group}`;
    const shares = this.#groups.get(id) ?? new Map<string, Share>();
    const was = sizeOf(shares);
    if (share === undefined) shares.delete(key);
    else shares.set(key, share);
    this.#groups.set(id, shares);
    const is = sizeOf(shares);
    for (const [name] of entriesOf(largest(was, is))) {
      for (const quota of [quotaOfProject(project), quotaOfDomain(DEFAULT_SCOPE)]) {
        this.#add(`${quota} ${name}`, amountIn(is, name) - amountIn(was, name), before);
      }
    }
  }

  #add(slot: string, by: bigint, before: Map<string, bigint>): void {
    const used = this.#used.get(slot) ?? 0n;
    if (!before.has(slot)) before.set(slot, used);
    this.#used.set(slot, used + by);
  }
}

function sizeOf(shares: ReadonlyMap<string, Share>): Amounts {
  return shares.values().reduce((size: Amounts, { amounts }) => largest(size, amounts), {});
}

function amountIn(amounts: Amounts, name: AmountName): bigint {
  return amounts[name] ?? 0n;
}

/** Such as "project/acme". */
function nameOf(key: string): string {
  return quotas.parts(key)[0];
}
