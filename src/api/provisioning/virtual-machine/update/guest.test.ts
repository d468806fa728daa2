import { expect, test } from "vitest";
import { refused } from "../../../../../test/refused.ts";
import { SSH_KEY, webRequest } from "../../../../../test/scenario.ts";
import { findingsIn, newVerifyWorld } from "../../../../../test/verify-world.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { TaskService } from "../../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { userDatas } from "../collection.ts";

const name = "web";
const KEY = SSH_KEY.replace("me@home", "me@desk");
const FIRST = "#!/bin/sh\necho first\n";
const SECOND = "#!/bin/sh\necho second\n";
const bare = { ...webRequest(name, []), nics: [] };

function seedOf(world: World) {
  return world.fakeNodes[0]!.drivers.seed.seeds.get(`/fake/vm/${name}/seed.iso`);
}

async function kept({ opened }: World): Promise<readonly string[]> {
  const all = await opened.api.records.list(userDatas);
  return all.map(({ value }) => JSON.stringify({ ...value, base64: text(value.base64) }));
}

const text = (base64: string) => Buffer.from(base64, "base64").toString("utf8");

async function off(more: object = {}): Promise<World> {
  const world = await newWorld({ inMemory: true });
  await world.users.createUser({ name: "ann" });
  const key = { sshPublicKeyName: "home", sshPublicKey: `${SSH_KEY}-ann` };
  await world.users.addSshPublicKey({ userName: "ann", ...key });
  await world.virtualMachines.createVirtualMachine({ ...bare, ...more });
  await world.virtualMachines.shutdownVirtualMachine({ name, hard: true });
  return world;
}

test("a guest that is off is told other things, under an instance id that it has never had", async () => {
  await using world = await off({ userData: FIRST });
  const { virtualMachines } = world;
  const ids = new Set([(await virtualMachines.getVirtualMachine({ name })).instanceId]);
  const update = async (change: object) => {
    const updated = await virtualMachines.updateVirtualMachine({ name, ...change });
    expect(updated).toMatchObject({ state: State.SHUTDOWN, transactionId: "" });
    expect(seedOf(world)?.instanceId).toBe(updated.instanceId);
    ids.add(updated.instanceId);
    return updated;
  };
  await update({ hostname: "web.example.com", loginUsername: "me", sshAuthorizedKeys: [KEY] });
  const told = { hostname: "web.example.com", loginUsername: "me", userData: FIRST };
  expect(seedOf(world)).toMatchObject({ ...told, sshAuthorizedKeys: [KEY] });
  await update({ userNames: ["ann"] });
  expect(seedOf(world)?.sshAuthorizedKeys).toEqual([KEY, `${SSH_KEY}-ann`]);
  expect(await refused(world.users.deleteUser({ name: "ann" }))).toMatchObject({
    code: "FailedPrecondition",
  });
  const second = await update({ userData: SECOND.replaceAll("\n", "\r\n") });
  expect(second).toMatchObject({ userDataBytes: SECOND.length, userDataChanges: 1 });
  expect(seedOf(world)?.userData).toBe(SECOND);
  expect(await kept(world)).toEqual([expect.stringContaining("second")]);
  expect(JSON.stringify(await kept(world))).not.toContain("first");
  // A change back is another change for cloud-init.
  await update({ userData: FIRST });
  expect(ids.size).toBe(5);
  // What is so already is no change.
  await update({ userData: FIRST, hostname: "web.example.com", updateMask: undefined });
  expect(ids.size).toBe(5);
  const none = await update({ updateMask: { paths: ["user_data", "user_names", "hostname"] } });
  expect(none).toMatchObject({ userDataBytes: 0, userDataChanges: 3, userNames: [], hostname: "" });
  expect(seedOf(world)).toMatchObject({ hostname: "web" });
  expect(seedOf(world)).not.toHaveProperty("userData");
  expect(await kept(world)).toEqual([]);
  await world.users.deleteUser({ name: "ann" });
  await virtualMachines.bootVirtualMachine({ name });
  expect(seedOf(world)?.instanceId).toBe(none.instanceId);
});

test("a virtual machine that was told other things has no finding", async () => {
  const world = await newVerifyWorld();
  await using _world = world;
  const before = await findingsIn(world);
  const [vm] = (await world.virtualMachines.listVirtualMachines({})).virtualMachines;
  const change = { name: vm!.name, hostname: "other.example.com", userData: SECOND };
  await world.virtualMachines.shutdownVirtualMachine({ name: vm!.name, hard: true });
  await world.virtualMachines.updateVirtualMachine(change);
  expect(await findingsIn(world)).toEqual(before);
});

test.for([
  ["hostname", "InvalidArgument", { hostname: "-web" }],
  ["login_username", "InvalidArgument", { loginUsername: "Me" }],
  ["ssh_authorized_keys[0]", "InvalidArgument", { sshAuthorizedKeys: ["ssh-ed25519 AAAA"] }],
  ["user_data", "InvalidArgument", { userData: "echo first" }],
  [undefined, "FailedPrecondition", { userNames: ["nobody"] }],
] as const)(
  "a wrong %s is refused as %s, and nothing is changed",
  async ([field, code, change]) => {
    await using world = await off({ userData: FIRST });
    const before = await world.residue();
    const asked = world.virtualMachines.updateVirtualMachine({ name, ...change } as object);
    expect(await refused(asked)).toMatchObject({ code, field });
    expect(await world.residue()).toEqual(before);
  },
);

test("a guest that runs is told nothing else at half-time", async () => {
  await using world = await off({ userData: FIRST });
  await world.virtualMachines.bootVirtualMachine({ name });
  const before = await world.residue();
  const { message } = await refused(
    world.virtualMachines.updateVirtualMachine({ name, hostname: "b", userData: SECOND }),
  );
  expect(message).toContain("is RUNNING: shut it down before a change of hostname, user_data");
  expect(await world.residue()).toEqual(before);
});

test("tasks may change user data and boot: a failure brings the former one back", async () => {
  await using world = await off({ userData: FIRST });
  const before = await world.residue();
  const tasks = (bootArgs: object) => [
    task("UpdateVirtualMachine", { name, user_data: SECOND }),
    task("BootVirtualMachine", bootArgs, ["UpdateVirtualMachine"]),
  ];
  const { runTasks } = world.client(TaskService);
  await refused(runTasks({ tasks: tasks({ name: "missing" }) }));
  expect(await world.residue()).toEqual(before);
  await runTasks({ tasks: tasks({ name }) });
  await world.opened.api.engine.settled();
  expect(seedOf(world)?.userData).toBe(SECOND);
  expect(await kept(world)).toEqual([expect.not.stringContaining("first")]);
});

function task(action: string, args: object, dependsOn: string[] = []) {
  return { name: action, type: "virtual_machine", action, args: { ...args }, dependsOn };
}
