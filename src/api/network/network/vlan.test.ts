import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";

const VLAN_ID = "n0core/provisioning/virtual_machine/vlan_id";
const NET = { name: "net", ipv4Cidr: "10.0.0.0/24" };
const tagged = (vlanId: string) => ({ ...NET, annotations: { [VLAN_ID]: vlanId } });

async function newVlanWorld(hasTags: boolean): Promise<World> {
  const world = await newWorld();
  await prepareDisk(world);
  world.fakeNodes[0]!.drivers.network.hands.vlans = { device: "eth1", hasTags };
  return world;
}
const onNode = (world: World) => world.fakeNodes[0]!.snapshot().network.networks["net"];
const findings = async (world: World) =>
  (await world.verify.verify({})).findings.map(({ code, expected, found }) => [
    code,
    expected,
    found,
  ]);

test("a network joins its VLAN with the first nic, and verify sees if it does not", async () => {
  await using world = await newVlanWorld(true);
  await world.networks.applyNetwork(tagged("100"));
  await world.virtualMachines.createVirtualMachine(webRequest());
  expect(onNode(world)?.vlanId).toBe(100);
  expect(await findings(world)).toEqual([]);
  const { networks } = world.fakeNodes[0]!.drivers.network.hands;
  networks.set("net", { ...networks.get("net")!, vlanId: 7 });
  expect(await findings(world)).toEqual([["network.vlan_differs", "VLAN 100", "VLAN 7"]]);
});

test("on a node without a device for VLANs, the annotation has no effect", async () => {
  await using world = await newVlanWorld(true);
  world.fakeNodes[0]!.drivers.network.hands.vlans = undefined;
  await world.networks.applyNetwork(tagged("100"));
  await world.virtualMachines.createVirtualMachine(webRequest());
  expect(onNode(world)).not.toHaveProperty("vlanId");
  expect(await findings(world)).toEqual([]);
});

test("a node that cannot join it refuses its virtual machines, and nothing is left", async () => {
  await using world = await newVlanWorld(false);
  await world.networks.applyNetwork(tagged("100"));
  const before = await world.residue();
  const error = await refused(world.virtualMachines.createVirtualMachine(webRequest()));
  expect(error.message).toContain('network "net" cannot join VLAN 100 of the node');
  expect(await world.residue()).toEqual(before);
  await world.networks.applyNetwork(tagged("0"));
  await world.virtualMachines.createVirtualMachine(webRequest());
  expect(onNode(world)?.vlanId).toBe(0);
});

test("a wrong number is refused, and the number of a network with guests stays", async () => {
  await using world = await newVlanWorld(true);
  for (const text of ["4095", "-1", "1.5", "", "0x10", "lan"]) {
    const { message } = await refused(world.networks.applyNetwork(tagged(text)));
    expect(message).toContain(`annotations["${VLAN_ID}"]: must be from 0 (untagged) to 4094`);
  }
  const isolated = { ...tagged("5"), isolated: true };
  const apart = await refused(world.networks.applyNetwork(isolated));
  expect(apart.message).toContain("an isolated network stays on its nodes");
  await world.networks.applyNetwork(tagged("100"));
  await world.networks.applyNetwork(tagged("101"));
  await world.virtualMachines.createVirtualMachine(webRequest());
  for (const other of [tagged("100"), NET]) {
    const { message } = await refused(world.networks.applyNetwork(other));
    expect(message).toContain("joins VLAN 101, which cannot change while virtual machines");
  }
  await world.networks.applyNetwork({ ...tagged("101"), labels: { a: "b" } });
});
