import type { Node } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import type { ComputeReservation, Counted, StorageReservation } from "./collection.ts";

/** What is asked of a node, or used on it. */
export interface Amounts {
  readonly cpuMilliCores: number;
  readonly memoryBytes: bigint;
  readonly storageBytes: bigint;
}

/** A reservation as it is asked for: what it counts for depends on the node. */
export type Uncounted<T> = Omit<T, "counted">;

export const NOTHING: Amounts = { cpuMilliCores: 0, memoryBytes: 0n, storageBytes: 0n };

export function sum(a: Amounts, b: Amounts): Amounts {
  return {
    cpuMilliCores: a.cpuMilliCores + b.cpuMilliCores,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    storageBytes: a.storageBytes + b.storageBytes,
  };
}

export function negative({ cpuMilliCores, memoryBytes, storageBytes }: Amounts): Amounts {
  return {
    cpuMilliCores: -cpuMilliCores,
    memoryBytes: -memoryBytes,
    storageBytes: -storageBytes,
  };
}

export function toAmounts({ cpuMilliCores, memoryBytes, storageBytes }: Counted): Amounts {
  return {
    cpuMilliCores,
    memoryBytes: BigInt(memoryBytes),
    storageBytes: BigInt(storageBytes),
  };
}

export function countCompute(
  asked: Uncounted<ComputeReservation>,
  { reserveLimits }: Node,
): Counted {
  return {
    cpuMilliCores: reserveLimits
      ? Math.max(asked.requestCpuMilliCore, asked.limitCpuMilliCore)
      : asked.requestCpuMilliCore,
    memoryBytes: reserveLimits
      ? larger(asked.requestMemoryBytes, asked.limitMemoryBytes)
      : asked.requestMemoryBytes,
    storageBytes: "0",
  };
}

export function countStorage(
  asked: Uncounted<StorageReservation>,
  { reserveLimits }: Node,
): Counted {
  const storageBytes = reserveLimits
    ? larger(asked.requestBytes, asked.limitBytes)
    : asked.requestBytes;
  return { cpuMilliCores: 0, memoryBytes: "0", storageBytes };
}

export function largest(a: Counted, b: Counted): Counted {
  return {
    cpuMilliCores: Math.max(a.cpuMilliCores, b.cpuMilliCores),
    memoryBytes: larger(a.memoryBytes, b.memoryBytes),
    storageBytes: larger(a.storageBytes, b.storageBytes),
  };
}

function larger(a: string, b: string): string {
  return BigInt(a) > BigInt(b) ? a : b;
}
