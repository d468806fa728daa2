import type { Stored } from "../../../../datastore/records.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import { listWanted, type NodeView, onceIn, type View } from "../../../core/audit/view.ts";
import { users } from "../../../iam/user/collection.ts";
import { networkBeside, networks } from "../../../network/network/collection.ts";
import type { Api } from "../../context.ts";
import { usersOf, virtualMachines } from "../collection.ts";
import type { SeedContent } from "../domain/domain-messages.ts";
import { type Plan, planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";
import { keysOf } from "../record.ts";

/** A virtual machine at rest, and what its node must have of it. */
export interface PlannedMachine {
  readonly ref: Ref;
  readonly vm: VirtualMachine;
  /** Undefined if the records are incomplete: what is missing is a finding of its own. */
  readonly plan: Plan | undefined;
  /** The keys of a transaction that changes any of it. */
  readonly keys: readonly string[];
}

export function nodeOfMachine({ value }: Stored<VirtualMachine>): string {
  return value.computeNodeName;
}

/** Those of the nodes that are looked at. */
async function planMachines(view: View<Api>): Promise<PlannedMachine[]> {
  const reader = { records: view.records.records, nameservers: view.api.nameservers };
  const planned: PlannedMachine[] = [];
  for (const { key, value: vm } of listWanted(view, virtualMachines, nodeOfMachine)) {
    const ref = virtualMachines.refOf(key);
    // The comparison of the records finds what is missing in them.
    const input = await readPlanInput(reader, ref, vm).catch(() => undefined);
    const plan = input === undefined ? undefined : planOf(ref, vm, input);
    planned.push({ ref, vm, plan, keys: keysAround(ref, vm) });
  }
  return planned;
}

/**
 * Not the key of its node: an agent that registers changes no virtual machine, and explains nothing about one.
 */
function keysAround(ref: Ref, vm: VirtualMachine): string[] {
  return [
    ...keysOf(ref, vm),
    ...vm.nics.map(({ networkName }) => networks.key(networkBeside(ref, networkName))),
    ...usersOf(vm).map((user) => users.key(user)),
  ];
}

/** At rest or not. */
export function machinesOn({ view, nodeName }: Omit<MachineNodeView, "survey">) {
  return view.machinesByNode.get(nodeName) ?? [];
}

/** Those at rest with complete records, on one node. */
export function settledOn({ view, nodeName }: Omit<MachineNodeView, "survey">) {
  return machinesOn({ view, nodeName }).flatMap(({ plan, ...machine }) =>
    plan !== undefined && machine.vm.state !== State.PENDING ? [{ ...machine, plan }] : [],
  );
}

/** The virtual machines of the nodes that are looked at, from the records. */
export interface MachineView extends View<Api> {
  readonly machinesByNode: ReadonlyMap<string, readonly PlannedMachine[]>;
  /** Whether the node of a virtual machine was asked to compare its seed with this one. */
  isAsked(ref: Ref, seed: SeedContent): boolean;
}

export type MachineNodeView = NodeView<MachineView>;

export async function withMachines(view: View<Api>): Promise<MachineView> {
  const machinesByNode = await onceIn(view, groupMachines);
  if (view.asked === view.records) return { ...view, machinesByNode, isAsked: () => true };
  const seeds = await onceIn(view, seedsAsked);
  const isAsked = (ref: Ref, seed: SeedContent) =>
    seeds.get(formatRef(ref)) === JSON.stringify(seed);
  return { ...view, machinesByNode, isAsked };
}

export async function groupMachines(view: View<Api>) {
  return Map.groupBy(await planMachines(view), ({ vm }) => vm.computeNodeName);
}

/** By the text of the virtual machine, as JSON. */
async function seedsAsked(view: View<Api>) {
  const machines = await planMachines({ ...view, records: view.asked });
  return new Map(machines.map(({ ref, plan }) => [formatRef(ref), JSON.stringify(plan?.seed)]));
}
