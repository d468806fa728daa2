import type { Step } from "../../transaction/step.ts";
import {
  type ComputeReservation,
  computes,
  type StorageReservation,
  storages,
} from "../collections.ts";
import type { SagaContext } from "../context.ts";
import type { Uncounted } from "./amounts.ts";

type ComputeAsked = Omit<Uncounted<ComputeReservation>, "transactionId">;
type StorageAsked = Omit<Uncounted<StorageReservation>, "transactionId">;

export type ReserveCompute = { readonly nodeName: string; readonly compute: ComputeAsked };

export const reserveCompute: Step<SagaContext, ReserveCompute> = {
  name: "node.reserve_compute",
  async act({ api }, { nodeName, compute }, { transactionId }) {
    await api.inventory.reserveCompute(nodeName, { ...compute, transactionId });
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

export const reserveStorage: Step<SagaContext, ReserveStorage> = {
  name: "node.reserve_storage",
  async act({ api }, { nodeName, id, storage }, { transactionId }) {
    await api.inventory.reserveStorage(nodeName, id, { ...storage, transactionId });
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
export const changeCompute: Step<SagaContext, Change<Uncounted<ComputeReservation>>> = {
  name: "node.change_compute",
  async act({ api }, { nodeName, before, after }) {
    await api.inventory.changeCompute(nodeName, after, before);
  },
  async undo({ api }, { nodeName, before }) {
    await api.inventory.changeCompute(nodeName, before, before);
  },
};

export const changeStorage: Step<
  SagaContext,
  Change<Uncounted<StorageReservation>> & { readonly id: string }
> = {
  name: "node.change_storage",
  async act({ api }, { nodeName, id, before, after }) {
    await api.inventory.changeStorage(nodeName, id, after, before);
  },
  async undo({ api }, { nodeName, id, before }) {
    await api.inventory.changeStorage(nodeName, id, before, before);
  },
};
