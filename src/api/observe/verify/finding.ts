import type { CommittingTx } from "../../core/saga/tx.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Code } from "./codes.ts";

/** What is not as it should be. */
export interface Finding {
  readonly code: Code;
  /** Such as `virtual_machine/web-1`. */
  readonly resource: string;
  /** Empty where it is about records alone. */
  readonly nodeName: string;
  readonly expected: string;
  readonly found: string;
  /**
   * Lock keys of the objects that it is about: while a transaction is at work on one of them, it explains
   * what is seen. `ANY` or `anyOn` where it cannot be told which.
   */
  readonly keys: readonly string[];
  /** What a repair holds; the keys, unless given. */
  readonly locks?: readonly string[];
  /** The transaction that made what is on the node. */
  readonly madeBy?: string;
  /** Repairs it, and commits. Undefined: for a person. */
  readonly repair?: Repair;
}

/** Runs steps if need be, and commits. The keys of the finding are held. */
export type Repair = (tx: CommittingTx<Api>) => Promise<void>;

/** Any transaction at all may explain it. */
export const ANY = "*";

/** Any transaction may that is at work on a virtual machine of the node, or on one that nobody knows yet. */
export function anyOn(nodeName: string): string {
  return `${ANY}@${nodeName}`;
}

/** Two that are equal in this are the same finding, seen at two moments. */
export function identityOf(finding: Finding): string {
  const { code, resource, nodeName, expected, madeBy } = finding;
  // A node that does not answer may say so in other words.
  const found = code === "node.unreachable" ? "" : finding.found;
  return JSON.stringify([code, resource, nodeName, expected, found, madeBy]);
}

/** The keys that a repair of it takes. */
export function locksOf({ locks, keys }: Finding): string[] {
  return (locks ?? keys).filter((key) => !key.startsWith(ANY));
}
