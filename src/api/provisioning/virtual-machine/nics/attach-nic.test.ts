import { expect, test } from "vitest";
import { refused } from "../../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";

const MAC = "52:54:00:00:00:77";

async function newWeb(): Promise<World> {
  const world = await newWorld();
  await prepareDisk(world);
  await world.networks.applyNetwork({ name: "two", ipv4Cidr: "10.0.2.0/24" });
  await world.virtualMachines.createVirtualMachine(webRequest());
  return world;
}

const snapshot = (world: World) => world.fakeNodes[0]!.snapshot();

async function reservedIn(world: World, name: string): Promise<string[]> {
  const { reservedNetworkInterfaces } = await world.networks.getNetwork({ name });
  return Object.keys(reservedNetworkInterfaces).filter((one) => one.startsWith("web"));
}

test("a running machine gets a nic, which its network, its node and its seed know", async () => {
  await using world = await newWeb();
  const nic = { networkName: "two", hardwareAddress: MAC, ipv4Address: "10.0.2.9" };
  const vm = await world.virtualMachines.attachNic({ name: "web", nic });
  expect(vm).toMatchObject({
    state: State.RUNNING,
    networkInterfaceNames: ["web0", "web1"],
    nics: [{ networkName: "net" }, nic],
  });
  const { compute, network, seeds } = snapshot(world);
  // The disk has the next slot after those of the nics that it was made with.
  expect(compute.domains[0]?.nics).toMatchObject([
    { pciSlot: 3 },
    { pciSlot: 31, hardwareAddress: MAC },
  ]);
  expect(Object.values(network.taps)).toContainEqual(
    expect.objectContaining({
      networkName: "two",
      identity: { hardwareAddress: MAC, addresses: ["10.0.2.9"] },
    }),
  );
  expect(Object.values(seeds)[0]?.nics[1]).toMatchObject({ ipv4Address: "10.0.2.9/24" });
  expect((await world.verify.verify({})).findings).toEqual([]);
});

test("a nic keeps its number and its slot, whichever come, go and are booted again", async () => {
  await using world = await newWeb();
  const { virtualMachines } = world;
  const attach = () => virtualMachines.attachNic({ name: "web", nic: { networkName: "net" } });
  const detach = (networkInterfaceName: string) =>
    virtualMachines.detachNic({ name: "web", networkInterfaceName });
  await attach();
  const { networkInterfaceNames } = await attach();
  expect(networkInterfaceNames).toEqual(["web0", "web1", "web2"]);
  await detach("web1");
  expect((await detach("web0")).networkInterfaceNames).toEqual(["web2"]);
  expect((await attach()).networkInterfaceNames).toEqual(["web2", "web0"]);
  const slots = () => snapshot(world).compute.domains[0]?.nics.map(({ pciSlot }) => pciSlot);
  expect(slots()).toEqual([30, 31]);
  await virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  expect((await attach()).networkInterfaceNames).toEqual(["web2", "web0", "web1"]);
  await virtualMachines.bootVirtualMachine({ name: "web" });
  // The last one came while it was off, so that it has the slot of its number.
  expect(slots()).toEqual([4, 30, 31]);
  expect((await world.verify.verify({})).findings).toEqual([]);
});

test("a nic that is taken away frees its addresses, and its network leaves the node with the last", async () => {
  await using world = await newWeb();
  const { virtualMachines } = world;
  await virtualMachines.detachNic({ name: "web", networkInterfaceName: "web0" });
  expect(await reservedIn(world, "net")).toEqual([]);
  expect(snapshot(world).network).toEqual({ taps: {}, networks: {} });
  await world.networks.deleteNetwork({ name: "net" });
  expect((await world.verify.verify({})).findings).toEqual([]);
});

test("a guest that does not release its nic keeps it, with its addresses and its filter", async () => {
  await using world = await newWeb();
  const before = await world.residue();
  world.fakeNodes[0]!.drivers.compute.keepNics("web");
  const detach = { name: "web", networkInterfaceName: "web0", deadlineSeconds: 3 };
  expect(await refused(world.virtualMachines.detachNic(detach))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("has not released nic"),
  });
  expect(await world.residue()).toEqual(before);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await world.virtualMachines.detachNic(detach);
  expect(await reservedIn(world, "net")).toEqual([]);
});

test("what a nic may not be is refused, with the field as it was spelled, and changes nothing", async () => {
  await using world = await newWeb();
  const { virtualMachines } = world;
  const before = await world.residue();
  const attach = async (nic: { networkName: string; ipv4Address?: string }) =>
    await refused(virtualMachines.attachNic({ name: "web", nic }));
  expect(await attach({ networkName: "none" })).toMatchObject({ code: "NotFound" });
  for (const ipv4Address of ["10.9.9.9", "x", "10.0.0.253"]) {
    expect(await attach({ networkName: "net", ipv4Address })).toMatchObject({
      code: "InvalidArgument",
      field: "nic.ipv4_address",
    });
  }
  const missing = { name: "web", networkInterfaceName: "web7" };
  expect(await refused(virtualMachines.detachNic(missing))).toMatchObject({
    code: "NotFound",
    message: expect.stringContaining("it has web0"),
  });
  expect(await refused(virtualMachines.attachNic({ name: "web" }))).toMatchObject({
    code: "InvalidArgument",
  });
  expect(await world.residue()).toEqual(before);
});

test("a paused machine, and one with sixteen nics, gets no other", async () => {
  await using world = await newWeb();
  const { virtualMachines } = world;
  const attach = () => virtualMachines.attachNic({ name: "web", nic: { networkName: "net" } });
  for (let i = 1; i < 16; i++) await attach();
  expect(await refused(attach())).toMatchObject({ code: "InvalidArgument" });
  await virtualMachines.detachNic({ name: "web", networkInterfaceName: "web3" });
  await virtualMachines.saveVirtualMachine({ name: "web" });
  expect(await refused(attach())).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("PAUSED"),
  });
});
