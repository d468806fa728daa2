import { virtualMachineCases } from "./rpc-cases/virtual-machine.ts";
import { rpcUnwindCases } from "./saga-cases.ts";

await rpcUnwindCases(virtualMachineCases);
