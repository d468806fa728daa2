import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put, remove } from "../../../datastore/collection.ts";
import { changesCollection, transactionCollection } from "../../../datastore/datastore-journal.ts";
import { SecurityGroupService } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { TaskService } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";

const MIB = 1 << 20;
const call = (type: string, action: string, args: JsonObject, ...dependsOn: string[]) => ({
  name: `${action} ${String(args["name"] ?? args["network_interface_name"])}`,
  ...{ type, action, args, dependsOn },
});

const rules = (...groups: string[]) =>
  groups.map((remote_group) => ({ direction: "ingress", remote_group }));

/** Two groups whose rules name each other, a network with an interface, a disk, and a virtual machine of them. */
const ALL = [
  call("security_group", "ApplySecurityGroup", { name: "a" }),
  call(
    "security_group",
    "ApplySecurityGroup",
    { name: "b", rules: rules("a") },
    "ApplySecurityGroup a",
  ),
  {
    ...call("security_group", "ApplySecurityGroup", { name: "a", rules: rules("b", "a") }),
    ...{ name: "again", dependsOn: ["ApplySecurityGroup b"] },
  },
  call("network", "ApplyNetwork", {
    name: "lan",
    ipv4_cidr: "10.1.0.0/24",
    labels: { a: "${HOME}" },
  }),
  call(
    "network",
    "ReserveNetworkInterface",
    { network_name: "lan", network_interface_name: "router", ipv4_address: "10.1.0.9" },
    "ApplyNetwork lan",
  ),
  call("block_storage", "CreateBlockStorage", {
    ...{ name: "disk", request_bytes: MIB, limit_bytes: MIB },
  }),
  call(
    "virtual_machine",
    "CreateVirtualMachine",
    {
      ...{ name: "made", request_cpu_milli_core: 10, request_memory_bytes: MIB * 64 },
      block_storage_names: ["disk"],
      nics: [{ network_name: "lan", security_groups: ["a", "b"] }],
    },
    ...["CreateBlockStorage disk", "ApplyNetwork lan", "again"],
  ),
];

const GONE = [
  call("virtual_machine", "DeleteVirtualMachine", { name: "made" }),
  ...["a", "b"].map((name) =>
    call("security_group", "ApplySecurityGroup", { name }, "DeleteVirtualMachine made"),
  ),
  ...["a", "b"].map((name) =>
    call(
      "security_group",
      "DeleteSecurityGroup",
      { name },
      "ApplySecurityGroup a",
      "ApplySecurityGroup b",
    ),
  ),
  call("network", "ReleaseNetworkInterface", {
    ...{ network_name: "lan", network_interface_name: "router" },
  }),
  call(
    "network",
    "DeleteNetwork",
    { name: "lan" },
    ...["DeleteVirtualMachine made", "ReleaseNetworkInterface router"],
  ),
  call("block_storage", "DeleteBlockStorage", { name: "disk" }, "DeleteVirtualMachine made"),
];

async function run(world: World, tasks: typeof ALL): Promise<string> {
  const { transactionId } = await world.client(TaskService).runTasks({ tasks });
  await world.opened.api.engine.settled();
  return transactionId;
}

async function undo(world: World, undoOf: string, discardData = false): Promise<string> {
  const { transactionId } = await world.client(TaskService).runTasks({ undoOf, discardData });
  await world.opened.api.engine.settled();
  return transactionId;
}

const keysOf = async (world: World) => Object.keys((await world.residue()).records).sort();

const escaped = (text: string) => text.replaceAll(/[()]/g, "\\$&");

test("objects that refer to each other come and go together, there and back", async () => {
  await using world = await newWorld({ inMemory: true });
  const before = await world.residue();
  const made = await run(world, ALL);
  const all = await keysOf(world);
  const gone = await run(world, GONE);
  const few = await keysOf(world);
  const back = await undo(world, gone);
  expect(await keysOf(world)).toEqual(all);
  expect((await world.networks.getNetwork({ name: "lan" })).labels).toEqual({ a: "${HOME}" });
  expect((await world.verify.verify({})).findings).toEqual([]);
  await undo(world, back);
  expect(await keysOf(world)).toEqual(few);
  await undo(world, gone);
  await undo(world, made, true);
  expect(await world.residue()).toEqual(before);
});

test("what prevents an undo is said with the names of all objects, and nothing is changed", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  const made = await run(world, ALL);
  const { networks, virtualMachines } = world;
  const says = async (id: string, ...texts: string[]) => {
    const seen = await world.residue();
    const { code, message } = await refused(undo(world, id, true));
    expect({ code, message }).toEqual({
      code: "FailedPrecondition",
      message: expect.stringMatching(new RegExp(texts.map(escaped).join(".*"))),
    });
    expect(await world.residue()).toEqual(seen);
  };
  const lost = await refused(undo(world, made));
  expect(lost).toMatchObject({ code: "FailedPrecondition", field: "discard_data" });
  expect(lost.message).toContain('would lose block storage "disk" (1MiB): to accept that');

  // Somebody else uses what would go.
  await virtualMachines.createVirtualMachine({
    ...webRequest(),
    nics: [{ networkName: "lan" }],
  });
  await says(
    made,
    'task "DeleteNetwork lan"',
    'network "lan" has 1 reserved interface, such as "web0"',
  );
  await virtualMachines.deleteVirtualMachine({ name: "web" });

  // It has changed.
  const labels = { name: "made", labels: { a: "b" } };
  await virtualMachines.updateVirtualMachine(labels);
  await says(made, 'virtual machine "made" has changed since (transaction ');
  await virtualMachines.updateVirtualMachine({ name: "made", updateMask: { paths: ["labels"] } });
  const router = { networkName: "lan", networkInterfaceName: "router" };
  await networks.releaseNetworkInterface(router);
  await says(made, 'interface "router" of network "lan" has changed since');
  await networks.reserveNetworkInterface({ ...router, ipv4Address: "10.1.0.9" });
  const gone = await undo(world, made, true);
  await says(made, 'network "lan" is gone (transaction ', `"made" is gone (transaction ${gone})`);
  await says(gone, 'block storage "disk" was purged, and its data is gone');
});

test("a transaction that is of another project, was unwound, or is of no objects, is not undone", async () => {
  await using world = await newWorld({ inMemory: true });
  const { networks, users } = world;
  const { records, datastore } = world.opened.api;
  const says = async (id: string, code: string, text: string) => {
    const seen = await refused(undo(world, id));
    expect(seen).toMatchObject({ code, message: expect.stringContaining(text) });
  };
  const newest = async () => (await records.list(transactionCollection)).at(-1)!.value;
  await says("0199c2f3a1b4-3f2a9c10-77e1", "NotFound", "does not exist");
  const other = await inProject(world, "other");
  const lan = { name: "lan", ipv4Cidr: "10.1.0.0/24" };
  await other.networks.applyNetwork(lan);
  await says((await newest()).id, "NotFound", "does not exist");
  await users.createUser({ name: "me" });
  await says((await newest()).id, "NotFound", "does not exist");
  await networks.applyNetwork(lan);
  const { id } = await newest();
  const { value } = (await records.find(changesCollection, id))!;
  await datastore.batch(put(changesCollection, [id], { ...value, otherKinds: ["role_binding"] }));
  await says(id, "FailedPrecondition", "kinds that no undo changes back: role binding");
  await datastore.batch(remove(changesCollection, id));
  await says(id, "FailedPrecondition", "an older version of n0stack ran it");
  const header = await newest();
  for (const state of ["unwound", "needs_operator"] as const) {
    await datastore.batch(put(transactionCollection, [id], { ...header, state }));
    await says(id, "FailedPrecondition", state === "unwound" ? "was unwound" : "is not at rest");
  }
  const groups = world.client(SecurityGroupService);
  await groups.applySecurityGroup({ name: "g" });
  const both = { tasks: ALL, undoOf: (await newest()).id };
  for (const request of [both, {}]) {
    const { runTasks, planTasks } = world.client(TaskService);
    for (const rpc of [runTasks, planTasks]) {
      expect(await refused(rpc(request))).toMatchObject({
        code: "InvalidArgument",
        field: "tasks",
      });
    }
  }
});
