import { CASES_IN_ORDER } from "./cases.ts";
import { rpcUnwindCases } from "./saga-cases.ts";

await rpcUnwindCases(CASES_IN_ORDER);
