import type { RemoveAll } from "./attack/clean-up.ts";
import type { Examples } from "./attack/example-parts.ts";
import type { Scenario } from "./crash/scenario.ts";
import { gather } from "./gather.ts";
import type { Others } from "./other-sagas.ts";
import type { RpcCase } from "./saga-cases.ts";

/** What a file beside a resource exports whose name ends in `.cases.ts`. A resource may have several. */
interface Cases {
  /** How each of its RPCs is called. The tests derive all its failures and deaths. */
  readonly rpcCases?: readonly RpcCase[];
  /** The same for real processes, which the tests kill. */
  readonly scenarios?: readonly Scenario[];
  /** What is tried on its objects while a transaction needs an operator. */
  readonly others?: Others;
  /** A request that breaks no rule, for each RPC that needs more than a name. Tests put wrong things into it. */
  readonly examples?: Examples;
  /** Removes what the attack has made. */
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

/** They begin with findings of verify, and one call runs a transaction for each of these. */
export const CASES_OF_REPAIR = RPC_CASES.filter(isRepair);
/** They begin with a world in which verify finds nothing. */
export const CASES_IN_ORDER = RPC_CASES.filter((rpcCase) => !isRepair(rpcCase));
