import { expect, test } from "vitest";
import { collect } from "../../../../../test/collect.ts";
import { inProject } from "../../../../../test/projects.ts";
import { refused } from "../../../../../test/refused.ts";
import { webRequest } from "../../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { Visibility } from "../../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { NetworkTraceService } from "../../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { NetworkUseService } from "../../../../gen/n0stack/network/v1alpha1/network_use_pb.ts";
import { SecurityGroupService } from "../../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";

const NODE = "n0core/provisioning/virtual_machine/request_node_name";
const NET = { name: "net", ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "fd00::/64" };
const RANGES = ["10.0.0.100-10.0.0.109", "fd00::100"];
const SHARED = ["10.0.0.100", "fd00::100"];

async function newCloud(): Promise<World> {
  const world = await newWorld({ nodeCount: 2 });
  await world.networks.applyNetwork({ ...NET, reservedRanges: RANGES });
  return world;
}

async function addGuest(world: World, name: string, node: number, nic: object = {}) {
  const annotations = { [NODE]: `node-${node}` };
  const nics = [{ networkName: "net", ...nic }];
  return await world.virtualMachines.createVirtualMachine({
    ...webRequest(name, []),
    annotations,
    nics,
  });
}

const set = (world: World, name: string, asked: object = {}) =>
  world.virtualMachines.setNicAddresses({ name, networkInterfaceName: `${name}0`, ...asked });
const findings = async (world: World) => (await world.verify.verify({})).findings;

/** Of each node: the addresses that its filters let pass in each tap, and those that its segment shares. */
async function onNodes(world: World) {
  await world.opened.api.segments.atRest();
  return world.fakeNodes.map((node) => {
    const { taps, networks } = node.drivers.network.snapshot();
    const allowed = Object.values(taps).map(({ identity }) => identity?.allowedAddresses ?? []);
    return { allowed, shared: networks.net?.segment?.sharedAddresses };
  });
}

test("nics on two nodes share an address, from which both may speak, and every node asks for it", async () => {
  await using world = await newCloud();
  await addGuest(world, "a", 1, { allowedAddresses: ["10.0.0.100", "FD00::100"] });
  const b = await addGuest(world, "b", 2);
  expect(b.nics[0]?.allowedAddresses).toEqual([]);
  expect((await onNodes(world)).map(({ shared }) => shared)).toEqual([SHARED, SHARED]);
  const changed = await set(world, "b", { allowedAddresses: SHARED });
  expect(changed.nics[0]?.allowedAddresses).toEqual(SHARED);
  const both = { allowed: [SHARED], shared: SHARED };
  expect(await onNodes(world)).toEqual([both, both]);
  expect(await findings(world)).toEqual([]);
  const { networks: there } = world.fakeNodes[0]!.drivers.network.hands;
  const { segment, ...net } = there.get("net")!;
  there.set("net", { ...net, segment: { ...segment!, sharedAddresses: ["10.0.0.109"] } });
  expect(await findings(world)).toMatchObject([{ code: "network.segment_differs" }]);
  await collect(world.verify.repair({}));
  expect(await findings(world)).toEqual([]);

  const use = await world.client(NetworkUseService).getNetworkUse({ networkName: "net" });
  const users = use.interfaces.filter((one) => one.allowedAddresses.length > 0);
  expect(users.map((one) => one.name).sort()).toEqual(["a0", "b0"]);
  // The gateway's, one of each nic, and the one that they share.
  expect(use.addressCounts.map(({ used }) => used)).toEqual(["4", "4"]);
  const trace = await world.client(NetworkTraceService).traceNetwork({
    source: { virtualMachineName: "a" },
    destination: { address: "10.0.0.100" },
    recordsOnly: true,
  });
  expect(trace.steps.map(({ reason }) => reason).join()).toContain('shared by "a0", "b0"');

  await set(world, "b");
  expect((await onNodes(world))[1]).toEqual({ allowed: [[]], shared: SHARED });
  await world.virtualMachines.deleteVirtualMachine({ name: "a" });
  await addGuest(world, "c", 1);
  expect((await onNodes(world)).map(({ shared }) => shared)).toEqual([[], []]);
  expect(await findings(world)).toEqual([]);
});

test("a shared address is nobody's own, and lies in a reserved range", async () => {
  await using world = await newCloud();
  await addGuest(world, "a", 1, { allowedAddresses: ["10.0.0.100"] });
  await addGuest(world, "b", 2, { ipv4Address: "10.0.0.101" });
  const wrong: [object, string][] = [
    [
      { allowedAddresses: ["10.0.0.7"] },
      "allowed_addresses[0]: 10.0.0.7 is not in reserved_ranges",
    ],
    [{ allowedAddresses: ["10.0.1.7"] }, "allowed_addresses[0]: 10.0.1.7 is not a host address"],
    [{ allowedAddresses: ["ipv4"] }, 'allowed_addresses[0]: "ipv4" is not an IP address'],
    [{ allowedAddresses: SHARED, secondaryAddresses: ["10.0.0.100"] }, "also that of"],
    [{ secondaryAddresses: ["10.0.0.100"] }, 'taken by interface "a0", which shares it'],
  ];
  for (const [asked, message] of wrong) {
    expect((await refused(set(world, "b", asked))).message).toContain(message);
  }
  const owned = await refused(set(world, "a", { allowedAddresses: ["10.0.0.101"] }));
  expect(owned.message).toContain('10.0.0.101 is taken by interface "b0", so nobody can share it');
  const { networks } = world;
  const byHand = { networkName: "net", networkInterfaceName: "x", ipv4Address: "10.0.0.100" };
  const reserved = await refused(networks.reserveNetworkInterface(byHand));
  expect(reserved).toMatchObject({ code: "AlreadyExists" });
  const ranges = ["10.0.0.101-10.0.0.109", "fd00::100"];
  const kept = await refused(networks.applyNetwork({ ...NET, reservedRanges: ranges }));
  expect(kept.message).toContain("reserved_ranges: 10.0.0.100 must stay in one");
  await networks.applyNetwork({ ...NET, reservedRanges: ["10.0.0.100"] });
  await set(world, "a");
  await networks.applyNetwork(NET);
  expect(await findings(world)).toEqual([]);
});

test("nics that share one are in the same security groups", async () => {
  await using world = await newCloud();
  await world.client(SecurityGroupService).applySecurityGroup({ name: "web" });
  const allowedAddresses = ["10.0.0.100"];
  await addGuest(world, "a", 1, { allowedAddresses });
  await addGuest(world, "b", 2, { securityGroups: ["web"] });
  const other = await refused(set(world, "b", { allowedAddresses }));
  expect(other).toMatchObject({ code: "FailedPrecondition" });
  expect(other.message).toContain('interface "a0" shares 10.0.0.100');
  const groups = { name: "a", networkInterfaceName: "a0", securityGroups: ["web"] };
  const kept = await refused(world.virtualMachines.setSecurityGroups(groups));
  expect(kept.message).toContain("set-nic-addresses");
  await set(world, "a");
  await world.virtualMachines.setSecurityGroups(groups);
  await set(world, "a", { allowedAddresses });
  await set(world, "b", { allowedAddresses });
  expect(await findings(world)).toEqual([]);
});

test("an address is shared within one project, by eight nics at most", async () => {
  await using world = await newCloud();
  const allowedAddresses = ["10.0.0.100"];
  for (let i = 0; i < 8; i++) await addGuest(world, `v${i}-`, 1, { allowedAddresses });
  const full = await refused(addGuest(world, "w", 2, { allowedAddresses }));
  expect(full.message).toContain("8 nics share 10.0.0.100");
  await world.networks.setNetworkVisibility({ name: "net", visibility: Visibility.PUBLIC });
  const acme = await inProject(world, "acme");
  const nics = [{ networkName: "default/net", allowedAddresses }];
  const request = { ...webRequest("x", []), nics };
  const theirs = await refused(acme.virtualMachines.createVirtualMachine(request));
  expect(theirs.message).toContain("address 10.0.0.100 is taken");
  expect(theirs.message).not.toContain("v0");
  expect(await findings(world)).toEqual([]);
});
