import { type AmountName, type Amounts, entriesOf, largest } from "./amounts.ts";
import type { Share } from "./counting.ts";

const NOTHING: Amounts = {};

/** Shares that count once. */
interface Group {
  /** Kept, because what is counted is given back there, whatever happens to the project. */
  readonly targets: readonly string[];
  shares: readonly Share[];
}

/** What one share changed. */
export interface Grown {
  /** The names of the quotas. */
  readonly targets: readonly string[];
  readonly by: readonly (readonly [AmountName, bigint])[];
}

/** The sums of shares, by the quotas for which they count. */
export class Tally {
  /** The names of the quotas for which the things of a project count. */
  readonly targetsOf: (project: string) => readonly string[];
  readonly #groups = new Map<string, Group>();
  readonly #used = new Map<string, Map<AmountName, bigint>>();

  constructor(targetsOf: (project: string) => readonly string[]) {
    this.targetsOf = targetsOf;
  }

  used(target: string, name: AmountName): bigint {
    return this.#used.get(target)?.get(name) ?? 0n;
  }

  /** @returns what the share takes that was not counted. */
  add(share: Share): Grown {
    const id = idOf(share);
    const group = this.#groups.get(id) ?? { targets: this.targetsOf(share.project), shares: [] };
    const before = sizeOf(group.shares);
    group.shares = [...group.shares, share];
    this.#groups.set(id, group);
    return this.#change(group, before, largest(before, share.amounts));
  }

  /** @param share the one that was added, not an equal one. */
  remove(share: Share): void {
    const id = idOf(share);
    const group = this.#groups.get(id);
    if (group === undefined) return;
    const before = sizeOf(group.shares);
    group.shares = group.shares.filter((one) => one !== share);
    if (group.shares.length === 0) this.#groups.delete(id);
    this.#change(group, before, sizeOf(group.shares));
  }

  #change({ targets }: Group, before: Amounts, after: Amounts): Grown {
    const by = difference(before, after);
    for (const [name, amount] of by) {
      for (const target of targets) this.#add(target, name, amount);
    }
    return { targets, by };
  }

  #add(target: string, name: AmountName, by: bigint): void {
    let used = this.#used.get(target);
    if (used === undefined) {
      used = new Map();
      this.#used.set(target, used);
    }
    used.set(name, (used.get(name) ?? 0n) + by);
  }
}

const NONE: readonly [AmountName, bigint][] = [];

/** The amounts that are not equal. */
function difference(before: Amounts, after: Amounts): readonly [AmountName, bigint][] {
  if (before === after) return NONE;
  return entriesOf(largest(before, after))
    .map(([name]): [AmountName, bigint] => [name, (after[name] ?? 0n) - (before[name] ?? 0n)])
    .filter(([, by]) => by !== 0n);
}

function idOf({ project, group }: Share): string {
  return `${project}/${group}`;
}

function sizeOf(shares: readonly Share[]): Amounts {
  const [first, ...others] = shares;
  if (first === undefined) return NOTHING;
  return others.reduce((size, { amounts }) => largest(size, amounts), first.amounts);
}
