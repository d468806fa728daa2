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
import { recordSteps } from "../../core/saga/record-steps.ts";
import { computes } from "../../pool/inventory/collection.ts";
import { blockStorageBeside, blockStorages } from "../block-storage/collection.ts";
import type { Api } from "../context.ts";
import { uuids, virtualMachineBeside, virtualMachines } from "./collection.ts";
import { stateOf } from "./domain/domain-states.ts";

export const virtualMachineSteps = recordSteps(virtualMachines);

/** @throws N0Error `not_found`. */
export async function getVirtualMachine(api: Api, ref: Ref): Promise<Stored<VirtualMachine>> {
  const stored = await api.records.find(virtualMachines, ref);
  if (stored === undefined) throw notFound("virtual machine", ref.name);
  return stored;
}

/** Of the virtual machine and its disks. */
export function keysOf(
  ref: Ref,
  { blockStorageNames }: Pick<VirtualMachine, "blockStorageNames">,
): string[] {
  const disks = blockStorageNames.map((name) => blockStorages.key(blockStorageBeside(ref, name)));
  return [virtualMachines.key(ref), ...disks];
}

/** Those on a node. What is reserved for them there tells which they are. */
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
 * As `getVirtualMachine`, for who holds no key: a saga has been refused before it begins.
 *
 * @throws also `failed_precondition` for one that is PENDING.
 */
export async function getSettled(api: Api, ref: Ref): Promise<VirtualMachine> {
  const { value } = await getVirtualMachine(api, ref);
  if (value.state !== State.PENDING) return value;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${ref.name}" is PENDING: transaction ${value.transactionId} works on it or needs an operator`,
    { resource: formatRef(ref) },
  );
}

/**
 * Tells this one from every other that had its name or will have it, as its UUID does not, which is made of
 * the name: the reservation of the UUID is written once, when it is created.
 */
export async function incarnationOf(api: Api, { uuid }: VirtualMachine): Promise<string> {
  const reserved = await api.records.find(uuids, uuid);
  return `${uuid}@${reserved?.revision ?? 0}`;
}

/** The record with some fields changed; the one that was read stays as it is. */
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
    copy.transactionId = transactionId;
  });
}

export function settled(vm: VirtualMachine, state: State): VirtualMachine {
  return changed(vm, (copy) => {
    copy.state = state;
    copy.transactionId = "";
  });
}

/** As clients see it: in the state that its node says it is in, not the one that was last asked for. */
export function toWire(api: Api, vm: VirtualMachine, scope: string): VirtualMachine {
  if (vm.state === State.PENDING) return vm;
  // What a silent node said last says nothing about now, even where its connection still stands.
  const isSilent = api.inventory.find(vm.computeNodeName)?.isReady !== true;
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
