import { blockStorageTasks } from "./block-storage.ts";
import { imageTasks } from "./image.ts";
import { networkTasks } from "./network.ts";
import { pinsOf } from "./pins.ts";
import { groupTasks } from "./security-group.ts";
import type { ExportTask, ObjectKey } from "./task.ts";
import { taskFile } from "./text.ts";
import { virtualMachineTasks } from "./virtual-machine.ts";
import { EXPORTED, type ExportedKind, type World } from "./world.ts";

const HEAD = [
  "What n0cli export found: n0cli do makes it again. Not here: what guests have written, and secrets.",
];

/** The file of tasks that makes the objects. Equal worlds give equal texts. */
export function exportFile(world: World, keys: readonly ObjectKey[]): string {
  return taskFile(HEAD, tasksOf(world, keys));
}

function tasksOf(world: World, keys: readonly ObjectKey[]): readonly ExportTask[] {
  const names = (kind: ExportedKind) =>
    keys
      .filter((key) => key.kind === kind)
      .map(({ name }) => name)
      .sort();
  const disks = new Set(names("block_storage"));
  const pins = pinsOf(world, (name) => disks.has(name));
  const make: Readonly<Record<ExportedKind, (name: string) => readonly ExportTask[]>> = {
    network: (name) => of(world.networks, name, (one) => networkTasks(world, one)),
    security_group: (name) => of(world.securityGroups, name, (one) => groupTasks(world, one)),
    block_storage: (name) =>
      of(world.blockStorages, name, (one) => blockStorageTasks(world, one, pins.get(name))),
    image: (name) => of(world.images, name, (one) => imageTasks(world, one)),
    virtual_machine: (name) =>
      of(world.virtualMachines, name, (one) => virtualMachineTasks(world, one)),
  };
  return EXPORTED.flatMap((kind) => names(kind).flatMap(make[kind]));
}

function of<T>(
  all: ReadonlyMap<string, T>,
  name: string,
  tasks: (one: T) => readonly ExportTask[],
): readonly ExportTask[] {
  const one = all.get(name);
  return one === undefined ? [] : tasks(one);
}
