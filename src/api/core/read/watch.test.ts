import { expect, test } from "vitest";
import { reader } from "../../../../test/collect.ts";
import { newGate } from "../../../../test/gate.ts";
import { GiB, prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newShiftingClock } from "../../../../test/shifting-clock.ts";
import { newWorld } from "../../../../test/world.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";

test("a watch sends what is there, says so, and then each change", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.users.createUser({ name: "ann" });
  const end = new AbortController();
  const watch = reader(world.users.watchUsers({}, { signal: end.signal }));
  expect(await watch.next()).toMatchObject({ user: { name: "ann" }, synced: false });
  expect(await watch.next()).toMatchObject({ synced: true, deletedName: "" });
  await world.users.createUser({ name: "bob" });
  expect((await watch.next()).user?.name).toBe("bob");
  await world.users.deleteUser({ name: "ann" });
  const deleted = await watch.next();
  expect(deleted).toMatchObject({ deletedName: "ann", synced: false });
  expect(deleted.user).toBeUndefined();
  end.abort();
  await expect(watch.next()).rejects.toThrow(/abort|cancel/i);
});

test("a watch of one name says nothing of others, and waits for one that is not there yet", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.users.createUser({ name: "ann" });
  const watch = reader(world.users.watchUsers({ name: "bob" }));
  expect(await watch.next()).toMatchObject({ synced: true });
  await world.users.createUser({ name: "cid" });
  await world.users.createUser({ name: "bob" });
  expect((await watch.next()).user?.name).toBe("bob");
});

test("a watch ends with the API", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const watch = reader(world.users.watchUsers({}));
  expect(await watch.next()).toMatchObject({ synced: true });
  const next = watch.ended().catch(() => true);
  await world.restart();
  expect(await next).toBe(true);
});

test("a virtual machine is seen to come, to power off by itself, and to go", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const watch = reader(world.virtualMachines.watchVirtualMachines({}));
  expect(await watch.next()).toMatchObject({ synced: true });
  const seen = async (state: State) =>
    await watch.find(({ virtualMachine }) => virtualMachine?.state === state);
  const made = world.virtualMachines.createVirtualMachine(webRequest());
  expect((await seen(State.PENDING)).virtualMachine?.transactionId).not.toBe("");
  await made;
  await seen(State.RUNNING);
  world.fakeNodes[0]!.drivers.compute.powerOff("web");
  await seen(State.SHUTDOWN);
  const deleting = world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await watch.find(({ deletedName }) => deletedName === "web");
  await deleting;
});

test("what a guest did while its node was not listened to is told when it is again", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const [node] = world.fakeNodes;
  node!.isDown = true;
  await node!.restart();
  node!.drivers.compute.powerOff("web");
  const watch = reader(world.virtualMachines.watchVirtualMachines({}));
  // The state that was asked for last, as nobody says otherwise.
  await watch.find(({ virtualMachine }) => virtualMachine?.state === State.RUNNING);
  await watch.find(({ synced }) => synced);
  node!.isDown = false;
  await watch.find(({ virtualMachine }) => virtualMachine?.state === State.SHUTDOWN);
  const { state } = await world.virtualMachines.getVirtualMachine({ name: "web" });
  expect(state).toBe(State.SHUTDOWN);
});

test("a virtual machine that its node has lost is told to be when the node is listened to", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const [node] = world.fakeNodes;
  node!.isDown = true;
  await node!.restart();
  const maker = { owner: "virtual_machine/web" };
  await node!.drivers.compute.ensureAbsent("web", maker, AbortSignal.timeout(5_000));
  const watch = reader(world.virtualMachines.watchVirtualMachines({}));
  await watch.find(({ synced }) => synced);
  node!.isDown = false;
  await watch.find(
    ({ virtualMachine }) => virtualMachine?.state === State.VIRTUAL_MACHINE_UNSPECIFIED,
  );
  const { state } = await world.virtualMachines.getVirtualMachine({ name: "web" });
  expect(state).toBe(State.VIRTUAL_MACHINE_UNSPECIFIED);
});

test("a node's silence and its reservations are seen, and what runs on a silent node is unknown", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock });
  const nodes = reader(world.nodes.watchNodes({}));
  await nodes.find(({ synced }) => synced);
  await world.virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics: [] });
  await nodes.find(({ node }) => node?.reservedComputes["web"] !== undefined);
  const vms = reader(world.virtualMachines.watchVirtualMachines({}));
  await vms.find(({ synced }) => synced);

  world.fakeNodes[0]!.isDown = true;
  clock.shiftMs(15_001);
  await nodes.find(({ node }) => node?.state === 2);
  await vms.find(({ virtualMachine }) => virtualMachine?.state === 0);
  world.fakeNodes[0]!.isDown = false;
  await world.nodes.heartbeatNode({ name: "node-1" });
  await nodes.find(({ node }) => node?.state === 1);
  await vms.find(({ virtualMachine }) => virtualMachine?.state === State.RUNNING);
});

test("networks are seen with what is reserved on them, images with their tags", async () => {
  await using world = await newWorld();
  const networks = reader(world.networks.watchNetworks({}));
  const images = reader(world.images.watchImages({}));
  await Promise.all([networks.next(), images.next()]);
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await world.networks.reserveNetworkInterface({ networkName: "net", networkInterfaceName: "i" });
  await networks.find(({ network }) => network?.reservedNetworkInterfaces["i"] !== undefined);
  await world.blockStorages.createBlockStorage({ name: "b", requestBytes: GiB, limitBytes: GiB });
  await world.images.applyImage({ name: "debian" });
  await world.images.registerBlockStorage({
    imageName: "debian",
    blockStorageName: "b",
    tags: ["12"],
  });
  await images.find(({ image }) => image?.tags["12"] === "b");
});

test("the progress of a fetch is seen", async () => {
  await using world = await newWorld();
  const { volume } = world.fakeNodes[0]!.drivers;
  const sourceUrl = "https://images.example/raw";
  volume.sources.set(sourceUrl, new Uint8Array(4096));
  const gate = newGate();
  volume.after = async ({ method }) => {
    if (method === "ensureFetched") await gate.pass();
  };
  const watch = reader(world.blockStorages.watchBlockStorages({ name: "disk" }));
  const fetching = world.blockStorages.fetchBlockStorage({
    name: "disk",
    requestBytes: GiB,
    limitBytes: GiB,
    sourceUrl,
  });
  await watch.find(({ blockStorage }) => blockStorage?.progressDoneBytes === 4096n);
  gate.open();
  await watch.find(({ blockStorage }) => blockStorage?.state === DiskState.AVAILABLE);
  await fetching;
});
