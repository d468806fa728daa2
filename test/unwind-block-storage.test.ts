import { blockStorageCases } from "./rpc-cases/block-storage.ts";
import { rpcUnwindCases } from "./saga-cases.ts";

await rpcUnwindCases(blockStorageCases);
