import { gather } from "./gather.ts";
import type { RpcCase } from "./saga-cases.ts";

/** What a file beside a resource exports whose name ends in `.cases.ts`. */
interface Cases {
  readonly rpcCases: readonly RpcCase[];
}

const modules = await gather<Cases>("cases");

export const RPC_CASES = modules.flatMap(({ rpcCases }) => rpcCases);

const isRepair = ({ rpc }: RpcCase) => rpc === "Repair";

/** They begin with findings of verify, and one call runs a transaction for each of these. */
export const CASES_OF_REPAIR = RPC_CASES.filter(isRepair);
/** They begin with a world in which verify finds nothing. */
export const CASES_IN_ORDER = RPC_CASES.filter((rpcCase) => !isRepair(rpcCase));
