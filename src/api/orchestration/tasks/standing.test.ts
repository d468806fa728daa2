import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { SSH_KEY } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { TaskService } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";

const NODE = "n0core/provisioning/block_storage/request_node_name";
const SIZE = { request_bytes: "1073741824", limit_bytes: "1073741824" };
const NIC = { network_name: "lan", security_groups: ["default"], secondary_addresses: ["ipv4"] };
const LAN = { name: "lan", ipv4_cidr: "10.1.0.0/24", labels: { b: "1", a: "2" } };
const DISK = { name: "disk", ...SIZE, annotations: { [NODE]: "node-1" } };
const WEB = {
  ...{ name: "web", request_cpu_milli_core: 500, request_memory_bytes: "268435456" },
  ...{ block_storage_names: ["disk"], ssh_authorized_keys: [SSH_KEY], nics: [NIC] },
  user_data: "#!/bin/sh\n",
};

function task(type: string, action: string, args: JsonObject, dependsOn: string[] = []) {
  const name = String(args["name"] ?? args["network_interface_name"] ?? args["block_storage_name"]);
  return { name, type, action, args, dependsOn };
}

function dagOf({
  lan = LAN,
  disk = DISK,
  web = WEB,
}: {
  lan?: object;
  disk?: object;
  web?: object;
} = {}) {
  return [
    task("network", "ApplyNetwork", lan as JsonObject),
    task(
      ...(["network", "ReserveNetworkInterface"] as const),
      { network_name: "lan", network_interface_name: "vip", ipv4_address: "10.1.0.9" },
      ["lan"],
    ),
    task("block_storage", "CreateBlockStorage", disk as JsonObject),
    task("virtual_machine", "CreateVirtualMachine", web as JsonObject, ["vip", "disk"]),
  ];
}

type Dag = ReturnType<typeof dagOf>;

const run = (world: World, tasks: Dag) => world.client(TaskService).runTasks({ tasks });
const plan = (world: World, tasks: Dag) => world.client(TaskService).planTasks({ tasks });

async function madeWorld(): Promise<World> {
  const world = await newWorld({ inMemory: true });
  const { tasks } = await run(world, dagOf());
  expect(tasks.map(({ unchanged }) => unchanged)).toEqual([false, false, false, false]);
  return world;
}

test("what is there as the tasks ask is left as it is, in a plan and in a run", async () => {
  await using world = await madeWorld();
  const before = await world.residue();
  const again = dagOf({ lan: { ...LAN, labels: { a: "2", b: "1" } } });
  const planned = await plan(world, again);
  expect(planned.changes).toEqual([]);
  expect(planned.tasks.map(({ status, steps }) => [status?.unchanged, steps])).toEqual(
    again.map(() => [true, []]),
  );
  const { tasks } = await run(world, again);
  expect(tasks.map(({ unchanged }) => unchanged)).toEqual([true, true, true, true]);
  expect(tasks[3]?.answer).toMatchObject({ name: "web", state: "RUNNING" });
  expect(await world.residue()).toEqual(before);
  // What is asked for by itself is new.
  const { virtualMachines, networks } = world;
  const alone = { name: "web", requestCpuMilliCore: 500, requestMemoryBytes: 268435456n };
  const twice = await refused(virtualMachines.createVirtualMachine(alone));
  expect(twice.message).toBe('virtual machine "web" exists already');
  const vip = { networkName: "lan", networkInterfaceName: "vip", ipv4Address: "10.1.0.9" };
  expect(await refused(networks.reserveNetworkInterface(vip))).toMatchObject({
    code: "AlreadyExists",
  });
});

test("what is there and different is named in the plan, and refuses the run", async () => {
  await using world = await madeWorld();
  const before = await world.residue();
  const nic = { ...NIC, ipv4_address: "10.1.0.7", hardware_address: "52:54:00:00:00:01" };
  const web = {
    ...WEB,
    request_memory_bytes: "536870912",
    nics: [nic],
    user_data: "#!/bin/false\n",
  };
  const other = dagOf({
    web: { ...web, ssh_authorized_keys: [], labels: { role: "db" } },
    disk: { ...DISK, limit_bytes: "2147483648", annotations: { [NODE]: "node-2", a: "b" } },
  });
  const { tasks } = await plan(world, other);
  const texts = tasks.map(({ differences }) =>
    differences.map(({ field, present, wanted }) => `${field}: ${present}, ${wanted}`),
  );
  const { virtualMachines } = world;
  const [is] = (await virtualMachines.getVirtualMachine({ name: "web" })).nics;
  expect(texts).toEqual([
    [],
    [],
    [
      'annotations["a"]: not set, "b"',
      `annotations["${NODE}"]: "node-1", "node-2"`,
      'limit_bytes: "1073741824", "2147483648"',
    ],
    [
      'labels["role"]: not set, "db"',
      'request_memory_bytes: "268435456", "536870912"',
      'limit_memory_bytes: "268435456", "536870912"',
      `nics[0].hardware_address: "${is?.hardwareAddress}", "52:54:00:00:00:01"`,
      `nics[0].ipv4_address: "${is?.ipv4Address}", "10.1.0.7"`,
      `ssh_authorized_keys: ["${SSH_KEY}"], []`,
      "user_data: another text, this one",
    ],
  ]);
  const refusal = await refused(run(world, other));
  expect(refusal).toMatchObject({ code: "AlreadyExists", rollback: "done" });
  expect(refusal.message).toMatch(
    /^task "disk" \(CreateBlockStorage\): block storage "disk" exists already, and is not as asked: annotations\["a"\] is not set, not "b"; /,
  );
  expect(await world.residue()).toEqual(before);
});

test("two tasks do not make one object", async () => {
  await using world = await newWorld({ inMemory: true });
  const [, , disk] = dagOf();
  const twice = [disk!, { ...disk!, name: "again", dependsOn: ["disk"] }];
  expect(await refused(run(world, twice))).toMatchObject({
    code: "AlreadyExists",
    message: 'task "again" (CreateBlockStorage): block storage "disk" exists already',
  });
});
