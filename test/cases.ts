import type { Scenario } from "./crash/scenario.ts";
import { gather } from "./gather.ts";
import type { RpcCase } from "./saga-cases.ts";

/** What a file beside a resource exports whose name ends in `.cases.ts`. A resource may have several. */
interface Cases {
  /** How each of its RPCs is called. The tests derive all its failures and deaths. */
  readonly rpcCases?: readonly RpcCase[];
  /** The same for real processes, which the tests kill. */
  readonly scenarios?: readonly Scenario[];
}

const modules = await gather<Cases>("cases");

export const RPC_CASES = modules.flatMap(({ rpcCases = [] }) => rpcCases);
export const SCENARIOS = modules.flatMap(({ scenarios = [] }) => scenarios);

const isRepair = ({ rpc }: RpcCase) => rpc === "Repair";

/** They begin with findings of verify, and one call runs a transaction for each of these. */
export const CASES_OF_REPAIR = RPC_CASES.filter(isRepair);
/** They begin with a world in which verify finds nothing. */
export const CASES_IN_ORDER = RPC_CASES.filter((rpcCase) => !isRepair(rpcCase));
