import { expect, test } from "vitest";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";

const NET = { name: "net", ipv4Cidr: "10.0.0.0/24" };

const onNode = (world: World) => world.fakeNodes[0]!.snapshot().network.networks["net"];
const findings = async (world: World) =>
  (await world.verify.verify({})).findings.map(({ code, found }) => [code, found]);

test("NAT goes and comes back while a virtual machine runs, and verify sees a node that has it otherwise", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  expect(onNode(world)?.isNatOff).toBeUndefined();
  expect((await world.networks.applyNetwork({ ...NET, natOff: true })).natOff).toBe(true);
  expect(onNode(world)?.isNatOff).toBe(true);
  expect(await findings(world)).toEqual([]);

  const { networks } = world.fakeNodes[0]!.drivers.network.hands;
  const { isNatOff: _, ...open } = networks.get("net")!;
  networks.set("net", open);
  expect(await findings(world)).toEqual([
    ["network.rules_broken", "a way outside, which nat_off forbids"],
  ]);
  await world.networks.applyNetwork({ ...NET, natOff: false });
  expect(await findings(world)).toEqual([]);
  networks.set("net", { ...open, isNatOff: true });
  expect(await findings(world)).toEqual([["network.rules_broken", "no way outside"]]);
});

test("a network without NAT comes to a node without it, with the next boot too", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.networks.applyNetwork({ ...NET, natOff: true });
  await world.virtualMachines.createVirtualMachine(webRequest());
  expect(onNode(world)?.isNatOff).toBe(true);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  expect(onNode(world)).toBeUndefined();
  await world.virtualMachines.bootVirtualMachine({ name: "web" });
  expect(onNode(world)?.isNatOff).toBe(true);
});
