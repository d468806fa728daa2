import type { Api } from "../context.ts";
import type { CommittingTx } from "../saga/tx.ts";

/** What is not as it should be. */
export interface Finding<C extends string = string, A extends Api = Api> {
  readonly code: C;
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
  /** Runs steps if need be, and commits. The keys of the finding are held. Undefined: for a person. */
  repair?(tx: CommittingTx<A>): Promise<void>;
}

/** It answers nothing that would have to be kept: whoever asks again looks again. */
export type Repair<A extends Api = Api> = (tx: CommittingTx<A>) => Promise<void>;

/** Any transaction at all may explain it. */
export const ANY = "*";

/** Any transaction may that is at work on a virtual machine of the node, or on one that nobody knows yet. */
export function anyOn(nodeName: string): string {
  return `${ANY}@${nodeName}`;
}
