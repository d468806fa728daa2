import type { RemoveAll } from "./attack/clean-up.ts";
import type { Examples } from "./attack/example-parts.ts";
import type { Scenario } from "./crash/scenario.ts";
import { gather } from "./gather.ts";
import type { Others } from "./other-sagas.ts";
import type { RpcCase } from "./saga-cases.ts";

/** The exports of a file beside a resource whose name ends in `.cases.ts`. A resource may have several. */
interface Cases {
  /** How to call each of its RPCs. The tests derive all its failures and deaths. */
  readonly rpcCases?: readonly RpcCase[];
  /** The same for real processes, which the tests kill. */
  readonly scenarios?: readonly Scenario[];
  /** The requests to try on its objects while a transaction needs an operator. */
  readonly others?: Others;
  /** A valid request for each RPC that needs more than a name. Tests put wrong values into it. */
  readonly examples?: Examples;
  /** Removes everything that the attack has made. */
  readonly removeAll?: RemoveAll;
}

const modules = await gather<Cases>("cases");

export const RPC_CASES = modules.flatMap(({ rpcCases = [] }) => rpcCases);
export const OTHERS = modules.flatMap(({ others }) => others ?? []);
export const SCENARIOS = modules.flatMap(({ scenarios = [] }) => scenarios);

export const EXAMPLES_OF_RESOURCES: Examples = Object.assign(
  {},
  ...modules.map(({ examples }) => examples),
);
// Virtual machines go first: they use most of the others.
export const REMOVALS = modules.flatMap(({ removeAll }) => removeAll ?? []).reverse();

const isRepair = ({ rpc }: RpcCase) => rpc === "Repair";

/** These begin with findings of verify, and one call runs a transaction for each of them. */
export const CASES_OF_REPAIR = RPC_CASES.filter(isRepair);
/** These begin with a world in which verify finds nothing. */
export const CASES_IN_ORDER = RPC_CASES.filter((rpcCase) => !isRepair(rpcCase));
