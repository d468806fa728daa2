import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { SecurityGroupService } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { deviceName } from "../../../util/checksum.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";

const DEFAULT = "security_group/default";
const ingress = (fields: object = {}) => ({ direction: "ingress", ...fields });

const groupsOf = (world: World) => world.client(SecurityGroupService);
const inAcme = (world: World) => withHeaders(world, { [PROJECT_HEADER]: "acme" });

async function machine(
  world: World,
  name: string,
  securityGroups: string[] = [],
  nodeName = "node-1",
) {
  return await world.virtualMachines.createVirtualMachine({
    ...webRequest(name, []),
    annotations: { "n0core/provisioning/virtual_machine/request_node_name": nodeName },
    nics: [{ networkName: "net", securityGroups }],
  });
}

async function networkWorld(nodeCount = 1): Promise<World> {
  const world = await newWorld({ nodeCount });
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  return world;
}

/** What the node has of the network and of the tap of a virtual machine. */
function onNode(world: World, name: string, index = 0) {
  const { taps, networks } = world.fakeNodes[index]!.snapshot().network;
  const { rules = {}, members = [] } = networks["net"] ?? {};
  return {
    groupIds: taps[deviceName(`${name}0`)]?.groupIds,
    combinations: Object.keys(rules),
    rules,
    members: members.map(({ identity, groupIds }) => [identity.addresses[0], ...groupIds]),
  };
}

test("a nic without a named group is in the default group of its project, without a record", async () => {
  await using world = await networkWorld();
  const { nics } = await machine(world, "web");
  expect(nics[0]).toMatchObject({ securityGroups: [], securityGroupsOff: false });
  expect(onNode(world, "web")).toMatchObject({ groupIds: [DEFAULT], combinations: [DEFAULT] });
  expect((await groupsOf(world).listSecurityGroups({})).securityGroups).toEqual([]);
});

test("applying the default group replaces its rules, and deleting it brings the built-in ones back", async () => {
  await using world = await networkWorld();
  await machine(world, "web");
  const before = onNode(world, "web").rules[DEFAULT];
  const ssh = ingress({ protocol: "tcp", ports: "22" });
  await groupsOf(world).applySecurityGroup({ name: "default", rules: [ssh] });
  const after = onNode(world, "web").rules[DEFAULT];
  expect(after).not.toBe(before);
  await groupsOf(world).deleteSecurityGroup({ name: "default" });
  expect(onNode(world, "web").rules[DEFAULT]).toBe(before);
});

test("rules have one form, whatever the request leaves open", async () => {
  await using world = await networkWorld();
  const { securityGroup } = await groupsOf(world).applySecurityGroup({
    name: "web",
    rules: [
      ingress({ protocol: "tcp", ports: "443-443", remoteCidr: "10.1.2.3/8" }),
      { direction: "egress", action: "deny", protocol: "icmp", icmpType: "8/0", priority: 3 },
      ingress({ remoteGroup: "default/web" }),
    ],
  });
  expect(securityGroup!.rules).toMatchObject([
    { action: "allow", protocol: "tcp", ports: "443", remoteCidr: "10.0.0.0/8" },
    { action: "deny", protocol: "icmp", icmpType: "8/0", priority: 3 },
    { protocol: "any", remoteGroup: "web" },
  ]);
});

test.for([
  ["rules[0].direction", { direction: "in" }],
  ["rules[0].action", ingress({ action: "drop" })],
  ["rules[0].protocol", ingress({ protocol: "256" })],
  ["rules[0].ports", ingress({ ports: "80" })],
  ["rules[0].ports", ingress({ protocol: "tcp", ports: "90-80" })],
  ["rules[0].ports", ingress({ protocol: "tcp", ports: "0" })],
  ["rules[0].icmp_type", ingress({ protocol: "tcp", icmpType: "8" })],
  ["rules[0].icmp_type", ingress({ protocol: "icmp", icmpType: "300" })],
  ["rules[0].remote_cidr", ingress({ remoteCidr: "10.0.0.0/33" })],
  ["rules[0].remote_cidr", ingress({ remoteCidr: "::/0", protocol: "icmp" })],
  ["rules[0].remote_cidr", ingress({ remoteCidr: "10.0.0.0/8", remoteGroup: "web" })],
  ["rules[0].remote_group", ingress({ remoteGroup: 'a"; flush ruleset' })],
] as const)("a wrong %s is refused", async ([field, rule]) => {
  await using world = await networkWorld();
  const refusal = await refused(groupsOf(world).applySecurityGroup({ name: "web", rules: [rule] }));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
});

test("a group that does not exist is refused, in a rule and in a nic", async () => {
  await using world = await networkWorld();
  const rules = [ingress({ remoteGroup: "none" })];
  const before = await world.residue();
  expect(await refused(groupsOf(world).applySecurityGroup({ name: "a", rules }))).toMatchObject({
    code: "NotFound",
  });
  expect(await refused(machine(world, "web", ["none"]))).toMatchObject({ code: "NotFound" });
  expect(await world.residue()).toEqual(before);
  const both = { securityGroups: ["default"], securityGroupsOff: true };
  const request = { ...webRequest("web", []), nics: [{ networkName: "net", ...both }] };
  expect(await refused(world.virtualMachines.createVirtualMachine(request))).toMatchObject({
    code: "InvalidArgument",
    field: "nics[0].security_groups",
  });
});

test("a group in use is not deleted, and the refusal names its users", async () => {
  await using world = await networkWorld();
  const groups = groupsOf(world);
  await groups.applySecurityGroup({ name: "web", rules: [ingress({ remoteGroup: "web" })] });
  await groups.applySecurityGroup({ name: "db", rules: [ingress({ remoteGroup: "web" })] });
  await machine(world, "vm", ["web"]);
  const refusal = await refused(groups.deleteSecurityGroup({ name: "web" }));
  expect(refusal.code).toBe("FailedPrecondition");
  expect(refusal.message).toContain('virtual machine "vm"');
  expect(refusal.message).toContain('security group "db"');
  await world.virtualMachines.deleteVirtualMachine({ name: "vm" });
  await groups.deleteSecurityGroup({ name: "db" });
  await groups.deleteSecurityGroup({ name: "web" });
});

test("a nic changes its groups while its guest runs, and at the next boot keeps them", async () => {
  await using world = await networkWorld();
  await groupsOf(world).applySecurityGroup({ name: "web" });
  await machine(world, "vm");
  const { virtualMachines } = world;
  const put = (securityGroups: string[], securityGroupsOff = false) =>
    virtualMachines.setSecurityGroups({
      ...{ name: "vm", networkInterfaceName: "vm0" },
      ...{ securityGroups, securityGroupsOff },
    });
  const vm = await put(["web", "default"]);
  expect(vm.nics[0]?.securityGroups).toEqual(["web", "default"]);
  expect(vm.state).toBe(2);
  const both = [DEFAULT, "security_group/web"];
  expect(onNode(world, "vm")).toMatchObject({ groupIds: both, combinations: [both.join(" ")] });
  await put([], true);
  expect(onNode(world, "vm").groupIds).toBeUndefined();
  await virtualMachines.shutdownVirtualMachine({ name: "vm", hard: true });
  await put(["web"]);
  await virtualMachines.bootVirtualMachine({ name: "vm" });
  expect(onNode(world, "vm").groupIds).toEqual(["security_group/web"]);
  const networkInterfaceName = "vm1";
  const none = virtualMachines.setSecurityGroups({ name: "vm", networkInterfaceName });
  expect(await refused(none)).toMatchObject({
    code: "InvalidArgument",
    field: "network_interface_name",
  });
});

test("each node knows the members on other nodes, from the create to the delete", async () => {
  await using world = await networkWorld(2);
  await machine(world, "one");
  await machine(world, "two", [], "node-2");
  const address = async (name: string) =>
    (await world.virtualMachines.getVirtualMachine({ name })).nics[0]!.ipv4Address;
  expect(onNode(world, "one").members).toEqual([[await address("two"), DEFAULT]]);
  expect(onNode(world, "two", 1).members).toEqual([[await address("one"), DEFAULT]]);
  await groupsOf(world).applySecurityGroup({ name: "web" });
  const networkInterfaceName = "two0";
  await world.virtualMachines.setSecurityGroups({
    ...{ name: "two", networkInterfaceName },
    securityGroups: ["web"],
  });
  expect(onNode(world, "one").members).toEqual([[await address("two"), "security_group/web"]]);
  await world.virtualMachines.deleteVirtualMachine({ name: "two" });
  await world.opened.api.groupPushes.atRest();
  expect(onNode(world, "one").members).toEqual([]);
});

test("a node that was silent gets the newest rules and members when it is back", async () => {
  await using world = await networkWorld(2);
  await machine(world, "one");
  await machine(world, "two", [], "node-2");
  const [node] = world.fakeNodes;
  node!.isDown = true;
  const groups = groupsOf(world);
  await groups.applySecurityGroup({ name: "default", rules: [ingress({ protocol: "udp" })] });
  await world.virtualMachines.deleteVirtualMachine({ name: "two" });
  const before = onNode(world, "one").rules[DEFAULT];
  node!.isDown = false;
  await world.restart();
  await world.opened.api.groupPushes.atRest();
  expect(onNode(world, "one").members).toEqual([]);
  expect(onNode(world, "one").rules[DEFAULT]).not.toBe(before);
});

test("a node whose kernel cannot enforce groups refuses named ones, and takes the default", async () => {
  await using world = await networkWorld();
  const [node] = world.fakeNodes;
  node!.drivers.network.canJudge = false;
  await groupsOf(world).applySecurityGroup({ name: "web" });
  const before = await world.residue();
  const refusal = await refused(machine(world, "vm", ["web"]));
  expect(refusal).toMatchObject({ code: "FailedPrecondition", rollback: "done" });
  expect(refusal.message).toContain("br_netfilter");
  expect(await world.residue()).toEqual(before);
  await machine(world, "vm");
});

test("a shared group is named by other projects, and kept by their use", async () => {
  await using world = await networkWorld();
  await prepareDisk(world);
  await inProject(world, "acme");
  const [groups, others] = [groupsOf(world), groupsOf(inAcme(world))];
  await groups.applySecurityGroup({ name: "web", rules: [ingress({ remoteGroup: "web" })] });
  const rules = [ingress({ remoteGroup: "default/web" })];
  expect(await refused(others.applySecurityGroup({ name: "db", rules }))).toMatchObject({
    code: "NotFound",
  });
  const visibility = { visibility: Visibility.PROJECTS, visibleTo: ["acme"] };
  await groups.setSecurityGroupVisibility({ name: "web", ...visibility });
  await others.applySecurityGroup({ name: "db", rules });
  const seen = (await others.getSecurityGroup({ name: "default/web" })).securityGroup!;
  expect(seen).toMatchObject({ project: "default", rules: [], visibleTo: [] });
  const refusal = await refused(groups.deleteSecurityGroup({ name: "web" }));
  expect(refusal.message).toContain("1 project");
  expect(refusal.message).not.toContain("acme");
  const hide = groups.setSecurityGroupVisibility({ name: "web", visibility: Visibility.PRIVATE });
  expect((await refused(hide)).code).toBe("FailedPrecondition");
  await others.deleteSecurityGroup({ name: "db" });
  await groups.deleteSecurityGroup({ name: "web" });
});
