import { verifyCases } from "./rpc-cases/verify.ts";
import { rpcUnwindCases } from "./saga-cases.ts";

await rpcUnwindCases(verifyCases);
