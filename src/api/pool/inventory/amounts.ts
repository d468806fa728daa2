import type { Node } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import type { ComputeReservation, Counted, StorageReservation } from "./collection.ts";

/** The dimensions of a node's capacity, in the order in which a message names the lacking ones. */
export const DIMENSIONS = ["cpuMilliCores", "memoryBytes", "storageBytes"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** The amounts that a node has, that are used on it, or that are requested. */
export type Amounts = Readonly<Record<Dimension, bigint>>;

/** The same amounts, rounded, to compute shares: faster to calculate with. */
export type Numbers = Readonly<Record<Dimension, number>>;

/** The request, and the limit that it may grow to. */
export interface Sizes {
  readonly asked: Amounts;
  readonly limits: Amounts;
}

/** A requested reservation. What it counts for depends on the node. */
export type Uncounted<T> = Omit<T, "counted">;

function amounts(of: (dimension: Dimension) => bigint): Amounts {
  return {
    cpuMilliCores: of("cpuMilliCores"),
    memoryBytes: of("memoryBytes"),
    storageBytes: of("storageBytes"),
  };
}

export const NOTHING = amounts(() => 0n);

export function sum(a: Amounts, b: Amounts): Amounts {
  return amounts((dimension) => a[dimension] + b[dimension]);
}

export function difference(a: Amounts, b: Amounts): Amounts {
  return amounts((dimension) => a[dimension] - b[dimension]);
}

/** The larger of the two in each dimension. */
export function largest(a: Amounts, b: Amounts): Amounts {
  return amounts((dimension) => (a[dimension] > b[dimension] ? a[dimension] : b[dimension]));
}

export function capacityOf({
  cpuMilliCores,
  memoryBytes,
  storageBytes,
}: Pick<Node, Dimension>): Amounts {
  return { cpuMilliCores: BigInt(cpuMilliCores), memoryBytes, storageBytes };
}

export function toNumbers({ cpuMilliCores, memoryBytes, storageBytes }: Amounts): Numbers {
  return {
    cpuMilliCores: Number(cpuMilliCores),
    memoryBytes: Number(memoryBytes),
    storageBytes: Number(storageBytes),
  };
}

/** In the form of a record. */
export function toCounted({ cpuMilliCores, memoryBytes, storageBytes }: Amounts): Counted {
  return {
    cpuMilliCores: Number(cpuMilliCores),
    memoryBytes: memoryBytes.toString(),
    storageBytes: storageBytes.toString(),
  };
}

export function toAmounts({ cpuMilliCores, memoryBytes, storageBytes }: Counted): Amounts {
  return {
    cpuMilliCores: BigInt(cpuMilliCores),
    memoryBytes: BigInt(memoryBytes),
    storageBytes: BigInt(storageBytes),
  };
}

type Size<K extends keyof ComputeReservation | keyof StorageReservation> = Readonly<
  Record<K, bigint | number | string>
>;

/** Processor and memory, of a request or a reservation. */
export function computeSizes(
  size: Size<
    "requestCpuMilliCore" | "limitCpuMilliCore" | "requestMemoryBytes" | "limitMemoryBytes"
  >,
): Sizes {
  return {
    asked: {
      ...NOTHING,
      cpuMilliCores: BigInt(size.requestCpuMilliCore),
      memoryBytes: BigInt(size.requestMemoryBytes),
    },
    limits: {
      ...NOTHING,
      cpuMilliCores: BigInt(size.limitCpuMilliCore),
      memoryBytes: BigInt(size.limitMemoryBytes),
    },
  };
}

/** Bytes of storage, of a request or a reservation. */
export function storageSizes(size: Size<"requestBytes" | "limitBytes">): Sizes {
  return {
    asked: { ...NOTHING, storageBytes: BigInt(size.requestBytes) },
    limits: { ...NOTHING, storageBytes: BigInt(size.limitBytes) },
  };
}

/**
 * The amounts that something of these sizes takes from a node: its requests, or its limits if the node reserves
 * those.
 */
export function countedOn(
  { reserveLimits }: Pick<Node, "reserveLimits">,
  { asked, limits }: Sizes,
): Amounts {
  return reserveLimits ? largest(asked, limits) : asked;
}

/** The names for clients and messages. */
const FIELDS: Readonly<Record<Dimension, string>> = {
  cpuMilliCores: "cpu_milli_core",
  memoryBytes: "memory_bytes",
  storageBytes: "storage_bytes",
};

/** The capacity of a node, and the used part of it. */
export interface Shared {
  readonly capacity: Numbers;
  readonly used: Numbers;
}

/** Rounding changes a number by less than this. */
const ROUNDED = 1 - 2 ** -40;

/**
 * Whether the requested amounts fit, despite rounding: false if only `whyNot` can tell. Each choice of a node
 * checks all nodes, and most of them have room.
 */
export function fitsWithEase({ capacity, used }: Shared, asked: Numbers): boolean {
  return (
    used.cpuMilliCores + asked.cpuMilliCores <= capacity.cpuMilliCores * ROUNDED &&
    used.memoryBytes + asked.memoryBytes <= capacity.memoryBytes * ROUNDED &&
    used.storageBytes + asked.storageBytes <= capacity.storageBytes * ROUNDED
  );
}

/** The largest share of a requested dimension that would be in use. */
export function shareAfter({ capacity, used }: Shared, asked: Numbers): number {
  return Math.max(
    share(capacity.cpuMilliCores, used.cpuMilliCores, asked.cpuMilliCores),
    share(capacity.memoryBytes, used.memoryBytes, asked.memoryBytes),
    share(capacity.storageBytes, used.storageBytes, asked.storageBytes),
  );
}

function share(capacity: number, used: number, asked: number): number {
  return asked > 0 ? (used + asked) / capacity : 0;
}

/** The lacking amounts in words, with `used` of `capacity` in use; undefined if everything fits. */
export function whyNot(
  { capacity, used }: { readonly capacity: Amounts; readonly used: Amounts },
  asked: Amounts,
): string | undefined {
  for (const dimension of DIMENSIONS) {
    const wanted = asked[dimension];
    const free = capacity[dimension] - used[dimension];
    if (wanted <= 0n || wanted <= free) continue;
    return `${FIELDS[dimension]}: ${free} of ${capacity[dimension]} free, ${wanted} requested`;
  }
  return undefined;
}
