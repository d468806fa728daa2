import type { JsonValue } from "@bufbuild/protobuf";

/** By RPC: a request that breaks no rule. What the fuzzer changes in it gets past the first rules. */
export type Examples = Readonly<Record<string, JsonValue>>;

/** The node. No request that is drawn names it: taken away, it would be missed by all other attacks. */
export const NODE_NAME = "victim";
export const MIB = String(1 << 20);
export const COMPUTE = {
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: MIB,
  limitMemoryBytes: MIB,
};
