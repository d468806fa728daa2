import type { Request } from "./remote.ts";

/** One mutating RPC in one situation. A run of it finds its steps. */
export interface Scenario {
  readonly name: string;
  /** The objects that it needs besides the base. */
  readonly prepare: readonly Request[];
  /** Done again before each call, which repairs it. */
  readonly spoil?: Request;
  /** Waited for before each call. */
  readonly ready?: Request;
  readonly call: Request;
  /** Undoes the call after it has succeeded. */
  readonly revert: readonly Request[];
  /** Removes what `prepare` made. */
  readonly cleanUp: readonly Request[];
  /** The API refuses the call after it has begun, and undoes it. */
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
