import { blockStorages } from "../../src/api/provisioning/block-storage/collection.ts";
import { virtualMachines } from "../../src/api/provisioning/virtual-machine/collection.ts";
import { VirtualMachine_VirtualMachineState as MachineState } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { nameOnNode } from "../../src/util/ref.ts";
import { clientsOf } from "../clients.ts";
import { EXPECTED_FINDINGS } from "./calls.ts";
import { falseAlarms } from "./false-alarms.ts";
import type { Simulation } from "./simulation.ts";
import type { Watcher } from "./watcher.ts";

/** The API's answers, and what watchers were sent, are the actual state. */
export async function wrongToClients(simulation: Simulation): Promise<string[]> {
  const { api, model, watchers } = simulation;
  const clients = clientsOf(api.served!.transport);
  const found: string[] = [];
  const machines = (await clients.virtualMachines.listVirtualMachines({})).virtualMachines;
  const disks = (await clients.blockStorages.listBlockStorages({})).blockStorages;
  for (const { name, state } of machines) {
    const is = stateOf(simulation, nameOnNode(model.ref(virtualMachines, name)));
    if (STATES[is] !== state) found.push(`${name} is shown as ${state} and is ${is}`);
  }
  for (const [expected, listed] of [
    [model.list(virtualMachines), machines],
    [model.list(blockStorages), disks],
  ] as const) {
    const [names, shown] = [namesOf(expected), namesOf(listed)];
    if (names !== shown) found.push(`the API lists ${shown} and not ${names}`);
  }
  found.push(...unlike(watchers.machines, machines), ...unlike(watchers.disks, disks));
  found.push(...falseAlarms(await clients.verify.verify({}), EXPECTED_FINDINGS));
  return found;
}

function namesOf(objects: readonly { readonly name: string }[]): string {
  return objects
    .map(({ name }) => name)
    .toSorted()
    .join();
}

/** What a watching client was sent last. */
function unlike(
  { isSynced, seen }: Watcher,
  listed: readonly { readonly name: string; readonly state: number }[],
): string[] {
  if (!isSynced) return ["a watch has not told all that is there"];
  const text = (objects: Iterable<readonly [string, number]>) =>
    [...objects]
      .map(([name, state]) => `${name} ${state}`)
      .toSorted()
      .join();
  const [told, is] = [text(seen), text(listed.map(({ name, state }) => [name, state] as const))];
  return told === is ? [] : [`a watch has told ${told}, and it is ${is}`];
}

function stateOf({ nodes }: Simulation, name: string): string {
  for (const { drivers } of nodes) {
    const domain = drivers.compute.snapshot().domains.find((d) => d.name === name);
    if (domain !== undefined) return domain.state;
  }
  return "absent";
}

const STATES: Readonly<Record<string, MachineState>> = {
  running: MachineState.RUNNING,
  paused: MachineState.PAUSED,
  shut_off: MachineState.SHUTDOWN,
  crashed: MachineState.SHUTDOWN,
  absent: MachineState.VIRTUAL_MACHINE_UNSPECIFIED,
};
