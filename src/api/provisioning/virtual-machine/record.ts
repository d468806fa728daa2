import { clone } from "@bufbuild/protobuf";
import type { Stored } from "../../../datastore/records.ts";
import { DomainState } from "../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
  VirtualMachineSchema,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, parseRefOf, type Ref } from "../../../util/ref.ts";
import { isOfAnother } from "../../core/saga/ambient.ts";
import { recordSteps } from "../../core/saga/record-steps.ts";
import { computes } from "../../pool/inventory/collection.ts";
import { blockStorageBeside, blockStorages } from "../block-storage/collection.ts";
import type { Api } from "../context.ts";
import { uuids, virtualMachineBeside, virtualMachines } from "./collection.ts";
import { stateOf } from "./domain/domain-states.ts";

export const virtualMachineSteps = recordSteps(virtualMachines, { namesBefore: true });

/** @throws N0Error `not_found`. */
export async function getVirtualMachine(api: Api, ref: Ref): Promise<Stored<VirtualMachine>> {
  const stored = await api.records.find(virtualMachines, ref);
  if (stored === undefined) throw notFound("virtual machine", ref.name);
  return stored;
}

/** The keys of the virtual machine and its block storages. */
export function keysOf(
  ref: Ref,
  { blockStorageNames }: Pick<VirtualMachine, "blockStorageNames">,
): string[] {
  const disks = blockStorageNames.map((name) => blockStorages.key(blockStorageBeside(ref, name)));
  return [virtualMachines.key(ref), ...disks];
}

/** The virtual machines on a node, found by their reservations there. */
export async function virtualMachinesOn(
  { records }: Pick<Api, "records">,
  nodeName: string,
): Promise<Stored<VirtualMachine>[]> {
  const reserved = await records.list(computes, [nodeName]);
  const refs = reserved.flatMap(({ value }) => parseRefOf(virtualMachines.kind, value.owner) ?? []);
  const found = await Promise.all(refs.map((ref) => records.find(virtualMachines, ref)));
  return found.flatMap((stored) => (stored?.value.computeNodeName === nodeName ? [stored] : []));
}

/**
 * Like `getVirtualMachine`, for callers without its key. A saga is refused earlier.
 *
 * @throws also `failed_precondition` if it is PENDING.
 */
export async function getSettled(api: Api, ref: Ref): Promise<VirtualMachine> {
  const { value } = await getVirtualMachine(api, ref);
  if (value.state !== State.PENDING && !isOfAnother(value)) return value;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${ref.name}" is PENDING: transaction ${value.transactionId} works on it or needs an operator`,
    { resource: formatRef(ref) },
  );
}

/**
 * Identifies this virtual machine among all former and later ones of its name. Its UUID alone does not, since it
 * is made from the name. So this adds the revision of the UUID's reservation, which is written once, at creation.
 */
export async function incarnationOf(api: Api, { uuid }: VirtualMachine): Promise<string> {
  const reserved = await api.records.find(uuids, uuid);
  return `${uuid}@${reserved?.revision ?? 0}`;
}

/** A copy of the record with some fields changed. */
export function changed(
  vm: VirtualMachine,
  change: (copy: VirtualMachine) => void,
): VirtualMachine {
  const copy = clone(VirtualMachineSchema, vm);
  change(copy);
  return copy;
}

export function pending(vm: VirtualMachine, transactionId: string): VirtualMachine {
  return changed(vm, (copy) => {
    copy.state = State.PENDING;
    copy.stateReason = "";
    copy.transactionId = transactionId;
  });
}

export function settled(vm: VirtualMachine, state: State): VirtualMachine {
  return changed(vm, (copy) => {
    copy.state = state;
    copy.stateReason = "";
    copy.transactionId = "";
  });
}

/** The virtual machine as clients see it: in the state that its node reports, not in the last requested one. */
export function toWire(api: Api, vm: VirtualMachine, scope: string): VirtualMachine {
  if (vm.state === State.PENDING) return vm;
  // The last report of a silent node says nothing about now, even if its connection still exists.
  const isSilent = !api.inventory.isReady(vm.computeNodeName);
  const observed = isSilent
    ? undefined
    : api.observed.find(vm.computeNodeName, virtualMachineBeside({ scope }, vm.name));
  if (!isSilent && observed === undefined) return vm;
  const state = observed === undefined ? State.VIRTUAL_MACHINE_UNSPECIFIED : stateOf(observed);
  const stateReason = observed === DomainState.OUT_OF_SPACE ? OUT_OF_SPACE : "";
  if (state === vm.state && stateReason === "") return vm;
  return changed(vm, (copy) => {
    copy.state = state;
    copy.stateReason = stateReason;
  });
}

const OUT_OF_SPACE = "the node's disk was full when it wrote: free space there, then boot it";
