import { CASES_OF_REPAIR } from "./cases.ts";
import { rpcUnwindCases } from "./saga-cases.ts";

await rpcUnwindCases(CASES_OF_REPAIR);
