import { projects } from "../../src/api/iam/project/collection.ts";
import { blockStorages } from "../../src/api/provisioning/block-storage/collection.ts";
import { virtualMachines } from "../../src/api/provisioning/virtual-machine/collection.ts";
import { VirtualMachine_VirtualMachineState as MachineState } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { PROJECT_HEADER } from "../../src/util/project.ts";
import { nameOnNode, SYSTEM_SCOPE } from "../../src/util/ref.ts";
import { type Clients, clientsOf } from "../clients.ts";
import { EXPECTED_FINDINGS } from "./calls.ts";
import { falseAlarms } from "./false-alarms.ts";
import type { Simulation, WatchersOf } from "./simulation.ts";
import type { Watcher } from "./watcher.ts";

/** The API's answers, and what watchers were sent, are the actual state. */
export async function wrongToClients(simulation: Simulation): Promise<string[]> {
  const clients = clientsOf(simulation.api.served!.transport);
  const found: string[] = [];
  const { model } = simulation;
  const isThere = ({ project }: WatchersOf) =>
    model.find(projects, { kind: projects.kind, scope: SYSTEM_SCOPE, name: project }) !== undefined;
  for (const watchers of simulation.watchers.filter(isThere)) {
    found.push(...(await wrongInProject(simulation, clients, watchers)));
  }
  found.push(...falseAlarms(await clients.verify.verify({}), EXPECTED_FINDINGS));
  return found;
}

async function wrongInProject(
  simulation: Simulation,
  clients: Clients,
  { project, ...watchers }: WatchersOf,
): Promise<string[]> {
  const { model } = simulation;
  const found: string[] = [];
  const options = { headers: { [PROJECT_HEADER]: project } };
  const machines = (await clients.virtualMachines.listVirtualMachines({}, options)).virtualMachines;
  const disks = (await clients.blockStorages.listBlockStorages({}, options)).blockStorages;
  for (const { name, state } of machines) {
    const is = stateOf(simulation, nameOnNode({ scope: project, name }));
    if (STATES[is] !== state) found.push(`${name} is shown as ${state} and is ${is}`);
  }
  for (const [expected, listed] of [
    [model.list(virtualMachines, project), machines],
    [model.list(blockStorages, project), disks],
  ] as const) {
    const [names, shown] = [namesOf(expected), namesOf(listed)];
    if (names !== shown) found.push(`the API lists ${shown} and not ${names}`);
  }
  found.push(...unlike(watchers.machines, machines), ...unlike(watchers.disks, disks));
  return found.map((text) => `in ${project}: ${text}`);
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
