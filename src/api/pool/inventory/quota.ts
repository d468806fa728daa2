import { countReservations } from "../../core/quota/counting.ts";
import { toAmounts } from "./amounts.ts";
import { computes, storages } from "./collection.ts";

/** A project takes what the reservations of its objects take from nodes. */
export const computeCounting = countReservations(computes, ({ counted }) => {
  const { cpuMilliCores, memoryBytes } = toAmounts(counted);
  return { cpu_milli_core: cpuMilliCores, memory_bytes: memoryBytes };
});

export const storageCounting = countReservations(storages, ({ counted }) => ({
  disk_bytes: toAmounts(counted).storageBytes,
}));
