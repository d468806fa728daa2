import { otherCases } from "./rpc-cases/others.ts";
import { rpcUnwindCases } from "./saga-cases.ts";

await rpcUnwindCases(otherCases);
