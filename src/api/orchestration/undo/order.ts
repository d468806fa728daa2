import { securityGroups } from "../../network/security-group/collection.ts";
import type { Change } from "./change.ts";
import type { Draft } from "./draft.ts";

/** The tasks that undo the change of one object, each after the one before it. */
export interface Chain {
  readonly change: Pick<Change<unknown>, "key" | "before" | "after">;
  readonly kind: string;
  readonly drafts: readonly Draft[];
  /** The keys of the objects to which it refers before and after the transaction. */
  readonly refersBefore: ReadonlySet<string>;
  readonly refersAfter: ReadonlySet<string>;
  /** In the order in which the transaction has changed them. */
  readonly place: number;
}

/** A task with the names of those that come before it. */
export interface Ordered extends Draft {
  readonly dependsOn: readonly string[];
}

/**
 * Orders the tasks as the objects refer to each other: what is made again comes before what refers to it, and what is
 * removed after what referred to it. Objects that stay are changed back in the reverse order of their changes.
 */
export function ordered(chains: readonly Chain[]): Ordered[] {
  const withTasks = chains.filter(({ drafts }) => drafts.length > 0);
  const byKey = new Map(withTasks.map((chain) => [chain.change.key, chain]));
  const waits: Waits = new Map<string, Set<string>>();
  for (const { drafts } of withTasks) {
    for (const [i, { name }] of drafts.entries()) {
      waits.set(name, new Set(i === 0 ? [] : [drafts[i - 1]!.name]));
    }
  }
  for (const one of withTasks) {
    for (const key of new Set([...one.refersBefore, ...one.refersAfter])) {
      const other = byKey.get(key);
      if (other === undefined || other === one || areGroups(one, other)) continue;
      if (comesFirst(other, one)) wait(waits, one, other);
      else wait(waits, other, one);
    }
  }
  orderGroups(
    waits,
    withTasks.filter((one) => areGroups(one)),
  );
  return withTasks.flatMap(({ drafts }) =>
    drafts.map((draft) => ({ ...draft, dependsOn: [...(waits.get(draft.name) ?? [])] })),
  );
}

/** By task, the names of those that come before it. */
type Waits = Map<string, Set<string>>;

/** Whether the tasks of the object that `by` refers to come before those of `by`. */
function comesFirst(referred: Chain, by: Chain): boolean {
  const { key } = referred.change;
  const wasReferred = by.refersBefore.has(key);
  const isReferred = by.refersAfter.has(key);
  if (isMade(by) || isRemoved(referred)) return isMade(by) && !isRemoved(referred);
  if (isMade(referred) || isRemoved(by)) return isMade(referred);
  if (wasReferred !== isReferred) return wasReferred;
  return referred.place > by.place;
}

function isMade({ change }: Chain): boolean {
  return change.after === undefined;
}

function isRemoved({ change }: Chain): boolean {
  return change.before === undefined;
}

/** The tasks of `late` wait for those of `early`. */
function wait(waits: Waits, late: Chain, early: Chain): void {
  const task = late.drafts.find(({ isPrelude }) => isPrelude !== true)!;
  waits.get(task.name)?.add(early.drafts.at(-1)!.name);
}

function areGroups(...chains: readonly Chain[]): boolean {
  return chains.every(({ kind }) => kind === securityGroups.kind);
}

/**
 * Rules of groups may name each other in a circle. So first all groups are there, those that name others still without
 * rules. Then each gets its rules, one after the other, because a group must not change while another one begins to
 * name it. What is removed goes when no rule names it any more.
 */
function orderGroups(waits: Waits, groups: readonly Chain[]): void {
  const [first, then, last]: Draft[][] = [[], [], []];
  for (const chain of groups) {
    const [begin, ...rest] = chain.drafts;
    if (isMade(chain)) {
      first!.push(begin!);
      then!.push(...rest);
    } else if (isRemoved(chain)) {
      then!.push(...chain.drafts.slice(0, -1));
      last!.push(chain.drafts.at(-1)!);
    } else then!.push(...chain.drafts);
  }
  let before = first!;
  for (const task of [...then!.map((one) => [one]), last!]) {
    for (const { name } of task) for (const early of before) waits.get(name)?.add(early.name);
    if (task.length > 0) before = task;
  }
}
