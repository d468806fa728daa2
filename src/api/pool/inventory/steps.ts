import type { SagaRecordStep } from "../context.ts";
import type { Uncounted } from "./amounts.ts";
import type { ComputeReservation, StorageReservation } from "./collection.ts";

type ComputeAsked = Omit<Uncounted<ComputeReservation>, "transactionId">;
type StorageAsked = Omit<Uncounted<StorageReservation>, "transactionId">;

export type ReserveCompute = { readonly nodeName: string; readonly compute: ComputeAsked };

export const reserveCompute: SagaRecordStep<ReserveCompute> = {
  name: "node.reserve_compute",
  async writeRecords({ api }, { nodeName, compute }, { transactionId }, write) {
    await api.inventory.computes.reserve(
      nodeName,
      compute.name,
      { ...compute, transactionId },
      write,
    );
  },
  async undo({ api }, { nodeName, compute }, { transactionId }) {
    await api.inventory.computes.undo(nodeName, compute.name, transactionId);
  },
};

export type ReserveStorage = {
  readonly nodeName: string;
  /** The last part of its key: the id of the volume, or the storage name. */
  readonly id: string;
  readonly storage: StorageAsked;
};

export const reserveStorage: SagaRecordStep<ReserveStorage> = {
  name: "node.reserve_storage",
  async writeRecords({ api }, { nodeName, id, storage }, { transactionId }, write) {
    await api.inventory.storages.reserve(nodeName, id, { ...storage, transactionId }, write);
  },
  async undo({ api }, { nodeName, id }, { transactionId }) {
    await api.inventory.storages.undo(nodeName, id, transactionId);
  },
};

type Change<T> = {
  readonly nodeName: string;
  readonly before: T;
  readonly after: T;
};

/** Changes the reservation of an object that stays on its node. The commit settles it. */
export const changeCompute: SagaRecordStep<Change<Uncounted<ComputeReservation>>> = {
  name: "node.change_compute",
  async writeRecords({ api }, { nodeName, before, after }, _scope, write) {
    await api.inventory.computes.change(nodeName, after.name, { before, after }, write);
  },
  async undo({ api }, { nodeName, before }) {
    const back = { before, after: before };
    await api.inventory.computes.change(nodeName, before.name, back, (writes) =>
      api.datastore.batch(writes),
    );
  },
};

export const changeStorage: SagaRecordStep<
  Change<Uncounted<StorageReservation>> & { readonly id: string }
> = {
  name: "node.change_storage",
  async writeRecords({ api }, { nodeName, id, before, after }, _scope, write) {
    await api.inventory.storages.change(nodeName, id, { before, after }, write);
  },
  async undo({ api }, { nodeName, id, before }) {
    const back = { before, after: before };
    await api.inventory.storages.change(nodeName, id, back, (writes) =>
      api.datastore.batch(writes),
    );
  },
};
