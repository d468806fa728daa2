import { gather } from "../gather.ts";
import type { RpcCase } from "../saga-cases.ts";

const modules = await gather<{ readonly rpcCases: readonly RpcCase[] }>("cases");

/** What stands beside the resources. */
export const otherCases: readonly RpcCase[] = modules.flatMap(({ rpcCases }) => rpcCases);
