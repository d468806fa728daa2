import type { Request } from "./remote.ts";

/** One mutating RPC in one situation. Which steps it has is found out by running it. */
export interface Scenario {
  readonly name: string;
  /** What it needs besides the base. */
  readonly prepare: readonly Request[];
  /** Done anew before each call; what the call does is to take it back. */
  readonly spoil?: Request;
  /** Waited for before each call. */
  readonly ready?: Request;
  readonly call: Request;
  /** Undoes the call, after it has succeeded. */
  readonly revert: readonly Request[];
  /** Removes what `prepare` made. */
  readonly cleanUp: readonly Request[];
  /** The call is refused after it has begun, and undone. */
  readonly isRefused?: boolean;
  readonly needsTwoNodes?: boolean;
  /** It also meets the deaths that are alike for all RPCs, such as a full datastore. */
  readonly isThorough?: boolean;
}

/** The RPC of a scenario. */
export function rpcOf({ call }: Scenario): string {
  return nameOf(call);
}

export function nameOf([method]: Request): string {
  return method.split("/")[1] ?? "";
}
