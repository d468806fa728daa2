import { jsonCollection } from "../../../datastore/collection.ts";
import type { Annotations, Owned } from "../../core/reserved.ts";

/** What a reservation takes from the capacity of its node. Byte counts are decimal. */
export type Counted = {
  readonly cpuMilliCores: number;
  readonly memoryBytes: string;
  readonly storageBytes: string;
};

type Reservation = Owned & {
  readonly name: string;
  readonly annotations: Annotations;
  /** The requests, or the limits on a node that does not overcommit. Decided when it is reserved. */
  readonly counted: Counted;
};

/** Under node and compute name. */
export type ComputeReservation = Reservation & {
  readonly requestCpuMilliCore: number;
  readonly limitCpuMilliCore: number;
  readonly requestMemoryBytes: string;
  readonly limitMemoryBytes: string;
};
export const computes = jsonCollection<ComputeReservation>("compute");

/** Under node and the id of the volume, or the storage name if a user reserved by hand. */
export type StorageReservation = Reservation & {
  readonly requestBytes: string;
  readonly limitBytes: string;
};
export const storages = jsonCollection<StorageReservation>("storage");

/**
 * By node. Each change of the node's reservations rewrites it. Its revision is the condition for granting
 * capacity.
 */
export const allocations = jsonCollection<Record<string, never>>("allocation");
