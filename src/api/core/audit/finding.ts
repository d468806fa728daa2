import type { Api } from "../context.ts";
import type { CommittingTx } from "../saga/tx.ts";

/** A thing that is not as it should be. */
export interface Finding<C extends string = string, A extends Api = Api> {
  readonly code: C;
  /** Such as `virtual_machine/web-1`. */
  readonly resource: string;
  /** Empty if the finding is only about records. */
  readonly nodeName: string;
  readonly expected: string;
  readonly found: string;
  /**
   * The lock keys of its objects: a transaction that works on one of them explains the finding. `ANY` or
   * `anyOn` if the objects are not known.
   */
  readonly keys: readonly string[];
  /** The keys that a repair takes; by default `keys`. */
  readonly locks?: readonly string[];
  /** The transaction that made the thing on the node. */
  readonly madeBy?: string;
  /**
   * Runs steps if needed, and commits. The caller holds the keys of the finding. Undefined: only a person can
   * repair it.
   */
  repair?(tx: CommittingTx<A>): Promise<void>;
}

/** A repair has no answer that must be kept: a client that asks again has it look again. */
export type Repair<A extends Api = Api> = (tx: CommittingTx<A>) => Promise<void>;

/** Any transaction may explain the finding. */
export const ANY = "*";

/**
 * Any transaction may explain it that works on a virtual machine of the node, or on one whose node is not known
 * yet.
 */
export function anyOn(nodeName: string): string {
  return `${ANY}@${nodeName}`;
}
