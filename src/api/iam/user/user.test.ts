import { describe, expect, test } from "vitest";
import { newFakeClock } from "../../../../test/fake-clock.ts";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, SSH_KEY, webRequest } from "../../../../test/scenario.ts";
import { newWorld } from "../../../../test/world.ts";
import { User_UserState as State } from "../../../gen/n0stack/iam/v0/user_pb.ts";

const key = { userName: "ann", sshPublicKeyName: "laptop", sshPublicKey: SSH_KEY };

test("a user is made, found, listed and deleted", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  expect((await world.users.listUsers({})).users).toEqual([]);
  const ann = await world.users.createUser({ name: "ann", labels: { a: "b" } });
  expect(ann).toMatchObject({ name: "ann", labels: { a: "b" }, state: State.AVAILABLE });
  expect(await world.users.getUser({ name: "ann" })).toEqual(ann);
  expect((await world.users.listUsers({})).users).toEqual([ann]);
  expect(await refused(world.users.createUser({ name: "ann" }))).toMatchObject({
    code: "AlreadyExists",
  });
  await world.users.deleteUser({ name: "ann" });
  expect(await world.residue()).toEqual(before);
  for (const call of [
    () => world.users.deleteUser({ name: "ann" }),
    () => world.users.getUser({ name: "ann" }),
    () => world.users.addSshPublicKey(key),
  ]) {
    expect((await refused(call())).code).toBe("NotFound");
  }
});

test("keys are added, replaced and removed by their names", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.users.createUser({ name: "ann" });
  const sshPublicKey = `  ${SSH_KEY}\n`;
  const added = await world.users.addSshPublicKey({ ...key, sshPublicKey });
  expect(added.sshPublicKeys).toEqual({ laptop: SSH_KEY });
  const other = SSH_KEY.replace("me@home", "you@work");
  const replaced = await world.users.addSshPublicKey({ ...key, sshPublicKey: other });
  expect(replaced.sshPublicKeys).toEqual({ laptop: other });
  const removed = await world.users.deleteSshPublicKey(key);
  expect(removed.sshPublicKeys).toEqual({});
  expect(await refused(world.users.deleteSshPublicKey(key))).toMatchObject({ code: "NotFound" });
});

test.for([
  ["ssh_public_key", { sshPublicKey: "" }],
  ["ssh_public_key", { sshPublicKey: "ssh-ed25519 AAAA" }],
  ["ssh_public_key", { sshPublicKey: `${SSH_KEY}\nssh_pwauth: true` }],
  ["ssh_public_key", { sshPublicKey: `command="sh" ${SSH_KEY}` }],
  ["ssh_public_key_name", { sshPublicKeyName: "a b" }],
  ["user_name", { userName: "../ann" }],
] as const)("a wrong %s is refused: %j", async ([field, change]) => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.users.createUser({ name: "ann" });
  const before = await world.residue();
  expect(await refused(world.users.addSshPublicKey({ ...key, ...change }))).toMatchObject({
    code: "InvalidArgument",
    field,
  });
  expect(await world.residue()).toEqual(before);
});

test("a key that is cut short is refused in the same words for a user and for a virtual machine", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.users.createUser({ name: "ann" });
  const cut = SSH_KEY.replace(/.{10} me@home$/, "");
  const { message } = await refused(world.users.addSshPublicKey({ ...key, sshPublicKey: cut }));
  expect(message).toContain("ssh_public_key: is cut short");
  const request = { ...webRequest(), sshAuthorizedKeys: [SSH_KEY, cut] };
  expect(await refused(world.virtualMachines.createVirtualMachine(request))).toMatchObject({
    code: "InvalidArgument",
    field: "ssh_authorized_keys[1]",
    message: message.replace("ssh_public_key", "ssh_authorized_keys[1]"),
  });
});

test("keys added at the same time are all kept", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.users.createUser({ name: "ann" });
  await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      world.users.addSshPublicKey({ ...key, sshPublicKeyName: `key-${i}` }),
    ),
  );
  const { sshPublicKeys } = await world.users.getUser({ name: "ann" });
  expect(Object.keys(sshPublicKeys)).toHaveLength(30);
});

test("a virtual machine gets the keys of its users, at each boot those they have then", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.users.createUser({ name: "ann" });
  await world.users.addSshPublicKey({ ...key, sshPublicKey: `${SSH_KEY}-ann` });
  const userNames = ["ann"];
  await world.virtualMachines.createVirtualMachine({ ...webRequest(), userNames });
  const keys = () => Object.values(world.fakeNodes[0]!.snapshot().seeds)[0]?.sshAuthorizedKeys;
  expect(keys()).toEqual([SSH_KEY, `${SSH_KEY}-ann`]);

  expect(await refused(world.users.deleteUser({ name: "ann" }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining('"web"'),
  });
  await world.users.addSshPublicKey({ ...key, sshPublicKeyName: "desk" });
  await world.users.deleteSshPublicKey(key);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await world.virtualMachines.bootVirtualMachine({ name: "web" });
  expect(keys()).toEqual([SSH_KEY]);

  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.users.deleteUser({ name: "ann" });
});

test("a virtual machine of a user who does not exist is refused", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  const request = { ...webRequest(), userNames: ["nobody"] };
  const refusal = await refused(world.virtualMachines.createVirtualMachine(request));
  expect(refusal).toMatchObject({ code: "FailedPrecondition", resource: "user/nobody" });
  expect(refusal.message).toContain("user_names[0]");
  expect(await world.residue()).toEqual(before);
});

test("a user that is deleted while a virtual machine is made of it is had by one of the two", async () => {
  // It stands still, so that a user who is made again is the same.
  await using world = await newWorld({ clock: newFakeClock() });
  await prepareDisk(world);
  await world.users.createUser({ name: "ann" });
  const request = { ...webRequest(), userNames: ["ann"] };
  const before = await world.residue();
  world.faults = async ({ point, step }) => {
    if (point !== "before_journal" || step !== "virtual_machine.put_record") return;
    world.faults = () => {};
    await world.users.deleteUser({ name: "ann" });
  };
  expect(await refused(world.virtualMachines.createVirtualMachine(request))).toMatchObject({
    code: "Aborted",
  });
  await world.users.createUser({ name: "ann" });
  expect(await world.residue()).toEqual(before);

  world.faults = async ({ point, kind }) => {
    if (point !== "before_commit" || kind !== "DeleteUser") return;
    world.faults = () => {};
    await world.virtualMachines.createVirtualMachine(request);
  };
  expect(await refused(world.users.deleteUser({ name: "ann" }))).toMatchObject({ code: "Aborted" });
  expect((await world.users.getUser({ name: "ann" })).name).toBe("ann");
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.users.deleteUser({ name: "ann" });
});

test("a guest made anew is another one for cloud-init exactly if it has other keys, users or addresses", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const request = { ...webRequest(), userNames: ["ann"] };
  const instanceId = () => {
    const [seed] = Object.values(world.fakeNodes[0]!.snapshot().seeds);
    return seed?.instanceId;
  };
  const remade = async (change: Partial<typeof request> = {}) => {
    await world.virtualMachines.deleteVirtualMachine({ name: "web" });
    const made = await world.virtualMachines.createVirtualMachine({ ...request, ...change });
    expect(instanceId()).toBe(made.instanceId);
    return made.instanceId;
  };
  await world.users.createUser({ name: "ann" });
  await world.users.addSshPublicKey(key);
  const { instanceId: first } = await world.virtualMachines.createVirtualMachine(request);
  expect(instanceId()).toBe(first);
  expect(await remade()).toBe(first);
  const others = [await remade({ loginUsername: "bob" }), await remade({ sshAuthorizedKeys: [] })];
  await remade();
  await world.users.addSshPublicKey({ ...key, sshPublicKeyName: "desk" });
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await world.virtualMachines.bootVirtualMachine({ name: "web" });
  expect(instanceId()).toBe(first);
  others.push(await remade());
  expect(new Set([first, ...others]).size).toBe(4);
});

describe("in several projects", () => {
  test("a virtual machine of any project of a domain has the keys of the domain's users", async () => {
    await using world = await newWorld();
    await world.users.createUser({ name: "ann" });
    await world.users.addSshPublicKey({ ...key, sshPublicKey: `${SSH_KEY}-default` });
    const acme = await inProject(world, "acme");
    const paris = await inProject(world, "paris", "corp");
    await paris.users.createUser({ name: "ann" });
    await paris.users.addSshPublicKey({ ...key, sshPublicKey: `${SSH_KEY}-corp` });
    const request = { ...webRequest("web", []), nics: [], userNames: ["ann"] };
    const keysOf = (onNode: string) =>
      Object.entries(world.fakeNodes[0]!.snapshot().seeds).find(([path]) =>
        path.includes(`/${onNode}/`),
      )?.[1].sshAuthorizedKeys;

    const made = await acme.virtualMachines.createVirtualMachine(request);
    expect(made).toMatchObject({ project: "acme", userDomain: "default" });
    expect(keysOf("acme~web")).toEqual([SSH_KEY, `${SSH_KEY}-default`]);
    await paris.virtualMachines.createVirtualMachine(request);
    expect(keysOf("paris~web")).toEqual([SSH_KEY, `${SSH_KEY}-corp`]);
    const shutdown = { name: "web", hard: true };
    await paris.virtualMachines.shutdownVirtualMachine(shutdown);
    await paris.users.deleteSshPublicKey(key);
    await paris.virtualMachines.bootVirtualMachine({ name: "web" });
    expect(keysOf("paris~web")).toEqual([SSH_KEY]);
    expect((await world.verify.verify({})).findings).toEqual([]);
  });

  test("a user is kept while a virtual machine of any project names him, and it is not named elsewhere", async () => {
    await using world = await newWorld();
    await world.users.createUser({ name: "ann" });
    const acme = await inProject(world, "acme");
    const request = { ...webRequest("web", []), nics: [], userNames: ["ann"] };
    await acme.virtualMachines.createVirtualMachine(request);
    const elsewhere = await refused(world.users.deleteUser({ name: "ann" }));
    expect(elsewhere).toMatchObject({
      code: "FailedPrecondition",
      message: 'user "ann" has its keys on a virtual machine of another project: delete that first',
    });
    expect((await refused(acme.users.deleteUser({ name: "ann" }))).message).toContain('"web"');
    await acme.virtualMachines.deleteVirtualMachine({ name: "web" });
    await world.users.deleteUser({ name: "ann" });
  });
});
