import type { JsonValue } from "@bufbuild/protobuf";

/** By RPC: a valid request. The fuzzer's changes of it get past the first rules. */
export type Examples = Readonly<Record<string, JsonValue>>;

/** The node. No drawn request names it: if it were deleted, all other attacks would miss it. */
export const NODE_NAME = "victim";
export const MIB = String(1 << 20);
export const COMPUTE = {
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: MIB,
  limitMemoryBytes: MIB,
};
