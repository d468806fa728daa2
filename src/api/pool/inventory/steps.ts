import type { SagaRecordStep } from "../context.ts";
import type { Uncounted } from "./amounts.ts";
import {
  type ComputeReservation,
  computes,
  type StorageReservation,
  storages,
} from "./collection.ts";

type ComputeAsked = Omit<Uncounted<ComputeReservation>, "transactionId">;
type StorageAsked = Omit<Uncounted<StorageReservation>, "transactionId">;

export type ReserveCompute = { readonly nodeName: string; readonly compute: ComputeAsked };

export const reserveCompute: SagaRecordStep<ReserveCompute> = {
  name: "node.reserve_compute",
  async writeRecords({ api }, { nodeName, compute }, { transactionId }, write) {
    await api.inventory.reserveCompute(nodeName, { ...compute, transactionId }, write);
  },
  async undo({ api }, { nodeName, compute }, { transactionId }) {
    await api.inventory.undoReserve(computes, nodeName, compute.name, transactionId);
  },
};

export type ReserveStorage = {
  readonly nodeName: string;
  /** What it is kept under: the id of the volume, or the storage name. */
  readonly id: string;
  readonly storage: StorageAsked;
};

export const reserveStorage: SagaRecordStep<ReserveStorage> = {
  name: "node.reserve_storage",
  async writeRecords({ api }, { nodeName, id, storage }, { transactionId }, write) {
    await api.inventory.reserveStorage(nodeName, id, { ...storage, transactionId }, write);
  },
  async undo({ api }, { nodeName, id }, { transactionId }) {
    await api.inventory.undoReserve(storages, nodeName, id, transactionId);
  },
};

type Change<T> = {
  readonly nodeName: string;
  readonly before: T;
  readonly after: T;
};

/** Changes what is reserved for something that stays where it is; the commit settles it. */
export const changeCompute: SagaRecordStep<Change<Uncounted<ComputeReservation>>> = {
  name: "node.change_compute",
  async writeRecords({ api }, { nodeName, before, after }, _scope, write) {
    await api.inventory.changeCompute(nodeName, after, before, write);
  },
  async undo({ api }, { nodeName, before }) {
    await api.inventory.changeCompute(nodeName, before, before, (writes) =>
      api.datastore.batch(writes),
    );
  },
};

export const changeStorage: SagaRecordStep<
  Change<Uncounted<StorageReservation>> & { readonly id: string }
> = {
  name: "node.change_storage",
  async writeRecords({ api }, { nodeName, id, before, after }, _scope, write) {
    await api.inventory.changeStorage(nodeName, id, after, before, write);
  },
  async undo({ api }, { nodeName, id, before }) {
    await api.inventory.changeStorage(nodeName, id, before, before, (writes) =>
      api.datastore.batch(writes),
    );
  },
};
