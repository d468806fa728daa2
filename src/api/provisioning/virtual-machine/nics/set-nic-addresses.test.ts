import { expect, test } from "vitest";
import { refused } from "../../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { NetworkUseService } from "../../../../gen/n0stack/network/v1alpha1/network_use_pb.ts";

const NIC = { name: "web", networkInterfaceName: "web0" };

async function newWeb(secondaryAddresses: string[] = []): Promise<World> {
  const world = await newWorld();
  await prepareDisk(world);
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  const nics = [{ networkName: "net", ipv4Address: "10.0.0.2", secondaryAddresses }];
  await world.virtualMachines.createVirtualMachine({ ...webRequest(), nics });
  return world;
}

const set = (world: World, ...secondaryAddresses: string[]) =>
  world.virtualMachines.setNicAddresses({ ...NIC, secondaryAddresses });
const findings = async (world: World) => (await world.verify.verify({})).findings;

function onNode(world: World) {
  const { network, seeds } = world.fakeNodes[0]!.snapshot();
  const [tap] = Object.values(network.taps);
  return {
    filter: tap?.identity?.addresses,
    seed: Object.values(seeds)[0]?.nics[0]?.secondaryAddresses,
  };
}

test("a nic is made with secondary addresses, of which the cloud chooses some", async () => {
  await using world = await newWeb(["10.0.0.9", "ipv4", "ipv6", "ipv4"]);
  const { nics } = await world.virtualMachines.getVirtualMachine({ name: "web" });
  const chosen = ["10.0.0.9", "10.0.0.253", "fd00::ffff:ffff:ffff:fffe", "10.0.0.252"];
  expect(nics[0]?.secondaryAddresses).toEqual(chosen);
  expect(onNode(world)).toEqual({
    filter: [nics[0]!.ipv4Address, nics[0]!.ipv6Address, ...chosen].sort(),
    seed: chosen.map((one) => (one.includes(":") ? `${one}/64` : `${one}/24`)),
  });
  const use = await world.client(NetworkUseService).getNetworkUse({ networkName: "net" });
  expect(use.interfaces.map((one) => one.secondaryAddresses)).toContainEqual(chosen);
  // The gateway's, the first one of the nic, and three.
  expect(use.addressCounts[0]?.used).toBe("5");
  expect(await findings(world)).toEqual([]);
});

test("they change while the guest runs: its filter, its seed and who may have them", async () => {
  await using world = await newWeb();
  const { nics } = await set(world, "10.0.0.20", "ipv4");
  expect(nics[0]?.secondaryAddresses).toEqual(["10.0.0.20", "10.0.0.253"]);
  expect(onNode(world).filter).toEqual(expect.arrayContaining(["10.0.0.20", "10.0.0.253"]));
  const changed = await set(world, "10.0.0.253", "FD00::5");
  expect(changed.nics[0]?.secondaryAddresses).toEqual(["10.0.0.253", "fd00::5"]);
  expect(onNode(world).seed).toEqual(["10.0.0.253/24", "fd00::5/64"]);
  expect(onNode(world).filter).not.toContain("10.0.0.20");
  // It is free again.
  const nic = { networkName: "net", ipv4Address: "10.0.0.20" };
  await world.virtualMachines.attachNic({ name: "web", nic });
  expect(await findings(world)).toEqual([]);
  await set(world);
  expect(onNode(world)).toMatchObject({ seed: undefined });
  expect(await findings(world)).toEqual([]);
});

test("of a guest that is shut down, they change in its seed, and its filter has them at the next boot", async () => {
  await using world = await newWeb();
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await set(world, "10.0.0.20");
  expect(onNode(world)).toEqual({ filter: undefined, seed: ["10.0.0.20/24"] });
  await world.virtualMachines.bootVirtualMachine({ name: "web" });
  expect(onNode(world).filter).toContain("10.0.0.20");
  expect(await findings(world)).toEqual([]);
});

test("nobody else gets one, and a nic that goes frees it", async () => {
  await using world = await newWeb(["10.0.0.20"]);
  const nics = [{ networkName: "net", ipv4Address: "10.0.0.20" }];
  const next = { ...webRequest("next", []), nics };
  const taken = await refused(world.virtualMachines.createVirtualMachine(next));
  expect(taken).toMatchObject({ code: "AlreadyExists" });
  expect(taken.message).toContain('10.0.0.20 is taken by interface "web0"');
  await world.virtualMachines.detachNic(NIC);
  await world.virtualMachines.createVirtualMachine(next);
  expect(await findings(world)).toEqual([]);
});

test("they keep the CIDR of their family as it is", async () => {
  await using world = await newWeb(["fd00::5"]);
  const other = { name: "net", ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "fd01::/64" };
  const kept = await refused(world.networks.applyNetwork(other));
  expect(kept.message).toContain("ipv6_cidr");
});

test("what a nic cannot have is refused, with the field", async () => {
  await using world = await newWeb(["10.0.0.20"]);
  const wrong: [string[], string][] = [
    [["10.0.0.2"], "secondary_addresses[0]: 10.0.0.2 is also that of"],
    [["10.0.0.9", "10.0.0.9"], "secondary_addresses[1]: 10.0.0.9 is also that of"],
    [["ipv4", "10.0.1.9"], "secondary_addresses[1]: 10.0.1.9 is not a host address of 10.0.0.0/24"],
    [["none"], 'secondary_addresses[0]: "none" is neither an IPv4 address, "ipv4" nor "ipv6"'],
    [["constructor"], "secondary_addresses[0]"],
    [["10.0.0.254"], "taken by interface"],
  ];
  for (const [asked, message] of wrong) {
    expect((await refused(set(world, ...asked))).message).toContain(message);
  }
  const { nics } = await world.virtualMachines.getVirtualMachine({ name: "web" });
  expect(nics[0]?.secondaryAddresses).toEqual(["10.0.0.20"]);
  expect(await findings(world)).toEqual([]);
});
