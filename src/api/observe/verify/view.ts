import type { SurveyResponse } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  type VirtualMachine,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { users } from "../../iam/user/collection.ts";
import { networks } from "../../network/network/collection.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { type Plan, planOf } from "../../provisioning/virtual-machine/plan.ts";
import { readPlanInput } from "../../provisioning/virtual-machine/plan-input.ts";
import type { Snapshot } from "./snapshot.ts";

/** What a node said, or why it did not. */
export type NodeAnswer =
  | { readonly nodeName: string; readonly survey: SurveyResponse }
  | { readonly nodeName: string; readonly error: string };

/** A virtual machine at rest, with what its node must have of it. */
export interface PlannedMachine {
  readonly vm: VirtualMachine;
  /** Undefined where the records do not tell: what is missing there is a finding of its own. */
  readonly plan: Plan | undefined;
  /** What a transaction that changes any of it holds. */
  readonly keys: readonly string[];
}

/** The records at one moment, and what the nodes said near it. */
export interface View {
  readonly api: Api;
  readonly records: Snapshot;
  readonly answers: readonly NodeAnswer[];
  readonly machines: readonly PlannedMachine[];
  readonly machinesByNode: ReadonlyMap<string, readonly PlannedMachine[]>;
  /** The seeds that the nodes were asked to compare with, by virtual machine, as JSON. */
  readonly seedsAsked: ReadonlyMap<string, string>;
  /** Whether what concerns the node was asked for; "" stands for what concerns no node. */
  isWanted(nodeName: string): boolean;
}

/** A node that answered, with what is needed to compare it. */
export interface NodeView {
  readonly nodeName: string;
  readonly survey: SurveyResponse;
  readonly view: View;
}

export function answered(view: View): NodeView[] {
  return view.answers.flatMap((answer) =>
    "survey" in answer ? [{ nodeName: answer.nodeName, survey: answer.survey, view }] : [],
  );
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
export function machinesOn({ view, nodeName }: Omit<NodeView, "survey">) {
  return view.machinesByNode.get(nodeName) ?? [];
}

/** Those at rest whose records are whole, on one node. */
export function settledOn({ view, nodeName }: Omit<NodeView, "survey">) {
  return machinesOn({ view, nodeName }).flatMap(({ vm, plan, keys }) =>
    plan !== undefined && vm.state !== State.PENDING ? [{ vm, plan, keys }] : [],
  );
}

/** Keys of all machines on the node that have a nic in the network, at rest or not. */
export function keysOfUsers(node: NodeView, networkName: string): string[] {
  const users = machinesOn(node).filter(({ vm }) =>
    vm.nics.some((nic) => nic.networkName === networkName),
  );
  return [networks.key(networkName), ...users.map(({ vm }) => virtualMachines.key(vm.name))];
}
