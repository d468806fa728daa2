import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import {
  type PlanTasksResponse,
  type RunTasksRequestSchema,
  TaskStatus_State as State,
  TaskService,
} from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { prepareImage, REQUEST_NODE, webRequest } from "./scenario.ts";
import type { Dice } from "./sim/dice.ts";
import type { World } from "./world.ts";

type WireTask = NonNullable<MessageInitShape<typeof RunTasksRequestSchema>["tasks"]>[number] & {
  readonly name: string;
  readonly args: JsonObject;
  readonly dependsOn: readonly string[];
};

const MIB = 1 << 20;
const SIZE = { request_bytes: MIB, limit_bytes: MIB };
const LARGE = { request_bytes: 1 << 30, limit_bytes: 1 << 30 };
const COMPUTE = {
  ...{ request_cpu_milli_core: 10, limit_cpu_milli_core: 1000 },
  ...{ request_memory_bytes: 64 * MIB, limit_memory_bytes: 64 * MIB },
};

/** Objects of all kinds, of which `web` runs and `off` does not. Each node has the volume of the image already. */
export async function prepareAll(world: World): Promise<void> {
  await prepareImage(world);
  for (const name of ["net", "lan"]) {
    await world.networks.applyNetwork({ name, ipv4Cidr: "10.0.0.0/24" });
  }
  for (const [i, name] of ["root", "cold", "spare"].entries()) {
    await world.images.generateBlockStorage({
      ...{ imageName: "debian", tag: "12", blockStorageName: name },
      ...{ requestBytes: 1n << 30n, limitBytes: 1n << 30n },
      annotations: { [REQUEST_NODE]: i === 1 ? "node-1" : "node-2" },
    });
  }
  await world.virtualMachines.createVirtualMachine(webRequest("web", ["root"]));
  await world.virtualMachines.createVirtualMachine(webRequest("off", ["cold"]));
  await world.virtualMachines.shutdownVirtualMachine({ name: "off", hard: true });
}

interface Act {
  readonly type: string;
  readonly action: string;
  readonly args: JsonObject;
  /** The objects that it works with: a later task with one of them comes after it. */
  readonly of: readonly string[];
}

const NETWORKS = ["net", "lan", "net-a", "net-b"];
const DISKS = ["spare", "root", "disk-a", "disk-b", "disk-c", "disk-d"];
const MACHINES = ["web", "off", "vm-a", "vm-b"];
const GROUPS = ["default", "group-a", "group-b"];
const IMAGES = ["debian", "img-a"];

/** A request for any object, which exists or not. */
function act(dice: Dice): Act {
  const [net, disk, vm] = [dice.pick(NETWORKS), dice.pick(DISKS), dice.pick(MACHINES)];
  const [group, image, other] = [dice.pick(GROUPS), dice.pick(IMAGES), dice.pick(DISKS)];
  const labels = { stage: dice.pick(["a", "b"]) };
  const one = (type: string, action: string, args: JsonObject, ...of: string[]): Act => {
    return { type, action, args, of };
  };
  const ofNet = (action: string, args: JsonObject) => one("network", action, args, net);
  const ofDisk = (action: string, args: JsonObject, ...of: string[]) =>
    one("block_storage", action, { name: disk, ...args }, disk, ...of);
  const ofVm = (action: string, args: JsonObject, ...of: string[]) =>
    one("virtual_machine", action, { name: vm, ...args }, vm, ...of);
  const ofGroup = (action: string, args: JsonObject) =>
    one("security_group", action, { name: group, ...args }, group);
  const ofImage = (action: string, args: JsonObject, ...of: string[]) =>
    one("image", action, args, image, ...of);
  const disks = [...new Set([disk, ...(dice.chance(0.3) ? [other] : [])])];
  const nic = { network_name: net };
  const made = { image_name: image, tag: "12", block_storage_name: disk, ...LARGE };
  const rule = { direction: "ingress", protocol: "tcp", ports: "80" };
  return dice.pick<() => Act>([
    () => ofNet("ApplyNetwork", { name: net, ipv4_cidr: "10.0.0.0/24", labels }),
    () => ofNet("DeleteNetwork", { name: net }),
    () =>
      ofNet("ReserveNetworkInterface", { network_name: net, network_interface_name: "printer" }),
    () => ofDisk("CreateBlockStorage", SIZE),
    () => ofDisk("CreateBlockStorage", SIZE),
    () => ofDisk("CopyBlockStorage", { source_block_storage: other, ...LARGE }, other),
    () => ofDisk("UpdateBlockStorage", { labels, update_mask: "labels" }),
    () => ofDisk("DeleteBlockStorage", {}),
    () => ofDisk("PurgeBlockStorage", {}),
    () => ofImage("GenerateBlockStorage", made, disk),
    () => ofImage("ApplyImage", { name: image, labels }),
    () => ofImage("RegisterBlockStorage", { image_name: image, block_storage_name: disk }, disk),
    () => ofImage("DeleteImage", { name: image }),
    () => ofGroup("ApplySecurityGroup", { labels, rules: [rule] }),
    () => ofGroup("DeleteSecurityGroup", {}),
    () =>
      ofVm(
        "CreateVirtualMachine",
        { ...COMPUTE, block_storage_names: disks, nics: [nic, nic] },
        net,
        ...disks,
      ),
    () => ofVm("CreateVirtualMachine", { ...COMPUTE, nics: [nic] }, net),
    () => ofVm("ShutdownVirtualMachine", { hard: true }),
    () => ofVm("BootVirtualMachine", {}),
    () => ofVm("AttachNic", { nic }, net),
    () => ofVm("UpdateVirtualMachine", { labels, update_mask: "labels" }),
    () => ofVm("DeleteVirtualMachine", {}),
  ])();
}

/** A task for each act, after the earlier ones with an object of it, and after a few others. */
function tasksOf(dice: Dice, acts: readonly Act[]): WireTask[] {
  return acts.map(({ type, action, args, of }, i) => {
    const needed = acts.flatMap((earlier, j) => {
      const shares = earlier.of.some((name) => of.includes(name));
      return j < i && (shares || dice.chance(0.05)) ? [`t${j}`] : [];
    });
    return { name: `t${i}`, type, action, args, dependsOn: needed };
  });
}

/** Random tasks that can all be done, or that fail in the plan and are ignored, with their plan. */
export async function planRandom(
  world: World,
  dice: Dice,
  count: number,
): Promise<{ readonly tasks: WireTask[]; readonly plan: PlanTasksResponse }> {
  const acts = Array.from({ length: count }, () => act(dice));
  let tasks = tasksOf(dice, acts);
  for (;;) {
    const refused = await planOf(world, tasks);
    if (typeof refused !== "string") {
      const wrong = failedLate(refused);
      if (wrong === undefined) return { tasks, plan: refused };
      tasks = without(tasks, wrong);
      continue;
    }
    const isIgnored = dice.chance(0.1);
    tasks = isIgnored
      ? tasks.map((task) => (task.name === refused ? { ...task, ignoreError: true } : task))
      : without(tasks, refused);
  }
}

/** A task that fails after its first step: a failure that is injected there would be ignored too. */
function failedLate({ tasks }: PlanTasksResponse): string | undefined {
  const found = tasks.find(
    ({ status, steps }) => status?.state === State.IGNORED && steps.length > 0,
  );
  return found?.status?.name;
}

/** The plan, or the name of the first task that is refused. */
async function planOf(world: World, tasks: WireTask[]): Promise<PlanTasksResponse | string> {
  try {
    const plan = await world.client(TaskService).planTasks({ tasks });
    const different = plan.tasks.find(({ differences }) => differences.length > 0);
    return different?.status?.name ?? plan;
  } catch (reason) {
    const [, name] =
      /^(?:tasks\[\d+\][^:]*: )?task "([^"]+)"/.exec(ConnectError.from(reason).rawMessage) ?? [];
    if (name === undefined) throw reason;
    return name;
  }
}

function without(tasks: readonly WireTask[], name: string): WireTask[] {
  return tasks
    .filter((task) => task.name !== name)
    .map((task) => ({ ...task, dependsOn: task.dependsOn.filter((other) => other !== name) }));
}
