import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import {
  type PlanTasksResponse,
  TaskStatus_State as State,
  TaskService,
  type TaskStatus,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { placeOf, placeText } from "../../../util/task-place.ts";

const tasksOf = (world: World) => world.client(TaskService);
const task = (name: string, type: string, action: string, args: JsonObject) => {
  return { name, type, action, args };
};
const SIZE = { request_bytes: 1 << 20, limit_bytes: 1 << 20 };
const COMPUTE = {
  ...{ request_cpu_milli_core: 10, limit_cpu_milli_core: 1000 },
  ...{ request_memory_bytes: 64 << 20, limit_memory_bytes: 64 << 20 },
};

const MACHINES = [
  task("lan", "network", "ApplyNetwork", { name: "lan", ipv4_cidr: "10.1.0.0/24" }),
  ...Array.from({ length: 6 }, (_, i) => [
    task(`disk${i}`, "block_storage", "CreateBlockStorage", { name: `disk${i}`, ...SIZE }),
    task(`vm${i}`, "virtual_machine", "CreateVirtualMachine", {
      ...{ name: `vm${i}`, ...COMPUTE, block_storage_names: [`\${disk${i}.name}`] },
      nics: [{ network_name: "${lan.name}" }, { network_name: "${lan.name}" }],
    }),
  ]).flat(),
];

/** As n0cli takes them from a plan. */
function placesIn({ tasks }: PlanTasksResponse) {
  return tasks.flatMap(({ status }) => {
    if (status?.state !== State.DONE) return [];
    const { node, addresses } = placeOf(status.answer);
    return [{ task: status.name, node, addresses: [...addresses] }];
  });
}

const textsOf = (tasks: readonly TaskStatus[]) =>
  tasks.map(({ name, answer }) => `${name} ${placeText(placeOf(answer))}`);

test("with the places of a plan, tasks that run at the same time get what the plan says", async () => {
  await using world = await newWorld({ inMemory: true, nodeCount: 3 });
  const plan = await tasksOf(world).planTasks({ tasks: MACHINES });
  const [places, { restsOn }] = [placesIn(plan), plan];
  // Something else is beside it now, so the scheduler and the address book alone would choose otherwise.
  const size = { requestBytes: 1n << 30n, limitBytes: 1n << 30n };
  await world.blockStorages.createBlockStorage({ name: "large", ...size });
  const again = await tasksOf(world).planTasks({ tasks: MACHINES, restsOn, places });
  const others = await tasksOf(world).planTasks({ tasks: MACHINES });
  const backwards = [...MACHINES].reverse();
  const ran = await tasksOf(world).runTasks({ tasks: backwards, restsOn, places });
  const planned = plan.tasks.map(({ status }) => status!);
  expect(textsOf(ran.tasks).sort()).toEqual(textsOf(planned).sort());
  expect(textsOf(again.tasks.map(({ status }) => status!))).toEqual(textsOf(planned));
  expect(textsOf(others.tasks.map(({ status }) => status!))).not.toEqual(textsOf(planned));
});

test("if a place is taken, everything is undone, also if failures are ignored", async () => {
  await using world = await newWorld({ inMemory: true });
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.1.0.0/24" });
  const before = await world.residue();
  const tasks = MACHINES.slice(1, 3).map((one) => ({
    ...{ ...one, ignoreError: true },
    args: JSON.parse(
      JSON.stringify(one.args).replace("${lan.name}", "lan").replace("${lan.name}", "lan"),
    ),
  }));
  const places = placesIn(await tasksOf(world).planTasks({ tasks }));
  const other = {
    task: "vm0",
    node: "node-1",
    addresses: ["10.1.0.9", "10.1.0.8"].map((address) => ({ network: "lan", address })),
  };
  const asked = [places[0]!, other];
  // Free ones are taken as the plan says.
  const { tasks: at } = await tasksOf(world).planTasks({ tasks, places: asked });
  expect(placeText(placeOf(at[1]?.status?.answer))).toBe("node-1, 10.1.0.9, 10.1.0.8");
  await world.networks.reserveNetworkInterface({
    ...{ networkName: "lan", networkInterfaceName: "first", ipv4Address: "10.1.0.9" },
  });
  const elsewhere = await refused(tasksOf(world).runTasks({ tasks, places: asked }));
  expect(elsewhere).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining(
      'task "vm0" would be at node-1, 10.1.0.8, 10.1.0.253, and the plan says node-1, 10.1.0.9, 10.1.0.8: make the plan again',
    ),
  });
  const unplanned = await refused(tasksOf(world).runTasks({ tasks, places: [places[0]!] }));
  expect(unplanned.message).toContain('task "vm0" would be done, and the plan says that it fails');
  const gone = { ...places[0]!, node: "node-9" };
  const absent = await refused(tasksOf(world).runTasks({ tasks, places: [gone, places[1]!] }));
  expect(absent.message).toContain('node "node-9" does not exist');
  const wrong = await refused(
    tasksOf(world).runTasks({ tasks, places: [{ task: "nobody", node: "", addresses: [] }] }),
  );
  expect(wrong).toMatchObject({ code: "InvalidArgument", field: "places[0].task" });
  await world.networks.releaseNetworkInterface({
    networkName: "lan",
    networkInterfaceName: "first",
  });
  await world.opened.api.engine.settled();
  expect(await world.residue()).toEqual(before);
});

test("an object that a task begins to change late must still be as the plan has found it", async () => {
  await using world = await newWorld({ inMemory: true });
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.1.0.0/24" });
  // The name is known only when the first task is done, so the key is not held before.
  const tasks = [
    task("get", "network", "GetNetwork", { name: "lan" }),
    {
      ...task("late", "network", "ApplyNetwork", {
        ...{ name: "${get.name}", ipv4_cidr: "10.1.0.0/24", labels: { a: "b" } },
      }),
      ignoreError: true,
    },
  ];
  const { restsOn } = await tasksOf(world).planTasks({ tasks });
  const change = { name: "lan", ipv4Cidr: "10.1.0.0/24", labels: { by: "others" } };
  world.faults = async ({ step, point }) => {
    if (step !== "task.commit" || point !== "before_act") return;
    world.faults = async () => {};
    await world.networks.applyNetwork(change);
  };
  const moved = await refused(tasksOf(world).runTasks({ tasks, restsOn }));
  expect(moved).toMatchObject({ code: "FailedPrecondition", resource: "network/lan" });
  expect((await world.networks.getNetwork({ name: "lan" })).labels).toEqual({ by: "others" });
});

test("an address in a network of another project is the planned one too", async () => {
  await using world = await newWorld({ inMemory: true });
  const acme = await inProject(world, "acme");
  for (const name of ["lan", "own"]) {
    const { networks } = name === "lan" ? world : acme;
    await networks.applyNetwork({ name, ipv4Cidr: "10.1.0.0/24" });
  }
  await world.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PUBLIC });
  const nics = ["default/lan", "own"].map((network_name) => ({ network_name }));
  const tasks = [
    task("vm", "virtual_machine", "CreateVirtualMachine", { name: "vm", ...COMPUTE, nics }),
  ];
  const [place] = placesIn(await tasksOf(acme).planTasks({ tasks }));
  expect(place!.addresses.map(({ network }) => network)).toEqual(["default/lan", "own"]);
  // Free in both networks, and not what the address book would choose.
  const addresses = place!.addresses.map((one, i) => ({ ...one, address: `10.1.0.${8 + i}` }));
  const ran = await tasksOf(acme).runTasks({ tasks, places: [{ ...place!, addresses }] });
  expect(textsOf(ran.tasks)).toEqual(["vm node-1, 10.1.0.8, 10.1.0.9"]);
});
