import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Snapshot } from "../../../core/audit/snapshot.ts";
import type { NodeView, View } from "../../../core/audit/view.ts";
import { users } from "../../../iam/user/collection.ts";
import { networks } from "../../../network/network/collection.ts";
import { blockStorages } from "../../block-storage/collection.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { type Plan, planOf } from "../domain/plan.ts";
import { readPlanInput } from "../domain/plan-input.ts";

/** A virtual machine at rest, with what its node must have of it. */
export interface PlannedMachine {
  readonly vm: VirtualMachine;
  /** Undefined where the records do not tell: what is missing there is a finding of its own. */
  readonly plan: Plan | undefined;
  /** What a transaction that changes any of it holds. */
  readonly keys: readonly string[];
}

export async function planMachines(api: Api, records: Snapshot): Promise<PlannedMachine[]> {
  const reader = { records: records.records, nameservers: api.nameservers };
  const planned: PlannedMachine[] = [];
  for (const { value: vm } of records.list(virtualMachines)) {
    // What its records lack is found where they are compared.
    const input = await readPlanInput(reader, vm).catch(() => undefined);
    const plan = input === undefined ? undefined : planOf(vm, input);
    planned.push({ vm, plan, keys: keysAround(vm) });
  }
  return planned;
}

/** Not its node's: an agent that registers anew changes no machine, and explains nothing about one. */
function keysAround(vm: VirtualMachine): string[] {
  return [
    virtualMachines.key(vm.name),
    ...vm.blockStorageNames.map((name) => blockStorages.key(name)),
    ...vm.nics.map(({ networkName }) => networks.key(networkName)),
    ...vm.userNames.map((name) => users.key(name)),
  ];
}

/** At rest or not. */
export function machinesOn({ view, nodeName }: Omit<MachineNodeView, "survey">) {
  return view.machinesByNode.get(nodeName) ?? [];
}

/** Those at rest whose records are whole, on one node. */
export function settledOn({ view, nodeName }: Omit<MachineNodeView, "survey">) {
  return machinesOn({ view, nodeName }).flatMap(({ vm, plan, keys }) =>
    plan !== undefined && vm.state !== State.PENDING ? [{ vm, plan, keys }] : [],
  );
}

/** With all virtual machines, as the records have them. */
export interface MachineView extends View<Api> {
  readonly machinesByNode: ReadonlyMap<string, readonly PlannedMachine[]>;
  /** The seeds that the nodes were asked to compare with, by virtual machine, as JSON. */
  readonly seedsAsked: ReadonlyMap<string, string>;
}

export type MachineNodeView = NodeView<MachineView>;

export async function withMachines(view: View<Api>): Promise<MachineView> {
  const { api, records, asked } = view;
  return {
    ...view,
    machinesByNode: await records.once(groupMachines, api),
    seedsAsked: await asked.once(seedsOf, api),
  };
}

async function groupMachines(api: Api, records: Snapshot) {
  return Map.groupBy(await records.once(planMachines, api), ({ vm }) => vm.computeNodeName);
}

async function seedsOf(api: Api, records: Snapshot) {
  const machines = await records.once(planMachines, api);
  return new Map(machines.map(({ vm, plan }) => [vm.name, JSON.stringify(plan?.seed)]));
}
