import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import {
  NetworkTraceService,
  TraceStep_Place as Place,
  type TraceNetworkResponse,
  TraceStep_PlaceSchema,
  TraceVerdictSchema,
  TraceVerdict as Verdict,
} from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { SecurityGroupService } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { deviceName } from "../../../util/checksum.ts";

const BOTH = { ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "fd00::/64" };

interface Wish {
  readonly node?: string;
  readonly nics?: object[];
}

async function machine(world: World, name: string, { node = "node-1", nics }: Wish = {}) {
  return await world.virtualMachines.createVirtualMachine({
    ...webRequest(name, []),
    annotations: { "n0core/provisioning/virtual_machine/request_node_name": node },
    nics: nics ?? [{ networkName: "net" }],
  });
}

async function apply(world: World, name: string, ...rules: object[]) {
  await world.client(SecurityGroupService).applySecurityGroup({ name, rules });
}

async function traceWorld(nodeCount = 2): Promise<World> {
  const world = await newWorld({ nodeCount, inMemory: true });
  await world.networks.applyNetwork({ name: "net", ...BOTH });
  await machine(world, "web");
  await machine(world, "db", { node: `node-${nodeCount}` });
  return world;
}

async function trace(world: World, to: string | object, fields: object = {}) {
  const destination = typeof to === "string" ? { virtualMachineName: to } : to;
  const request = { source: { virtualMachineName: "web" }, destination, ...fields };
  return await world.client(NetworkTraceService).traceNetwork(request);
}

/** A line for each step. */
function linesOf({ steps }: TraceNetworkResponse): string[] {
  return steps.map(
    ({ verdict, place, nodeName, reason }) =>
      `${TraceVerdictSchema.value[verdict]?.localName} ${TraceStep_PlaceSchema.value[place]?.localName} ${nodeName}: ${reason}`,
  );
}

const stopping = ({ steps }: TraceNetworkResponse) =>
  steps.filter(({ verdict }) => verdict !== Verdict.PASSES).map(({ reason }) => reason);

test("a packet between two guests of one project passes, and each place says why", async () => {
  await using world = await traceWorld();
  const answer = await trace(world, "db", { port: 5432 });
  const { vni } = await world.networks.getNetwork({ name: "net" });
  const [from, to] = await Promise.all(
    ["node-1", "node-2"].map(async (name) => (await world.nodes.getNode({ name })).underlayAddress),
  );
  expect(linesOf(answer)).toEqual([
    'PASSES SOURCE node-1: 10.0.0.253 is nic 0 of virtual machine "web", in network "net"',
    "PASSES EGRESS node-1: no rule of default is for egress",
    `PASSES PATH node-1: VXLAN ${vni} from ${from} (node "node-1") to ${to} (node "node-2")`,
    "PASSES INGRESS node-2: allowed by rule 1 of default: direction=ingress,protocol=any,remote_group=default",
    'PASSES DESTINATION node-2: 10.0.0.252 is nic 0 of virtual machine "db", in network "net"',
    "PASSES NODE node-1: it is as the records say",
    "PASSES NODE node-2: it is as the records say",
  ]);
  expect(answer.verdict).toBe(Verdict.PASSES);
  const ipv6 = await trace(world, "db", { ipVersion: 6 });
  expect(linesOf(ipv6)[0]).toContain("SOURCE node-1: fd00::");
});

test("it names the rule that decides, of all groups of the nic", async () => {
  await using world = await traceWorld(1);
  await apply(world, "default", { direction: "ingress", protocol: "tcp", ports: "80-90" });
  expect(stopping(await trace(world, "db", { port: 91 }))).toEqual([
    "no rule for ingress of default allows it",
  ]);
  expect((await trace(world, "db", { port: 90 })).verdict).toBe(Verdict.PASSES);
  expect((await trace(world, "db", { port: 90, protocol: "udp" })).verdict).toBe(Verdict.STOPS);
  await apply(
    world,
    "no-web",
    { direction: "ingress", action: "deny", remoteGroup: "default", priority: 1 },
    { direction: "ingress", protocol: "icmp", icmpType: "8", priority: 2 },
  );
  const groups = { networkInterfaceName: "db0", securityGroups: ["default", "no-web"] };
  await world.virtualMachines.setSecurityGroups({ name: "db", ...groups });
  const denied = await trace(world, "db", { port: 80 });
  expect(denied.steps.find(({ place }) => place === Place.INGRESS)).toMatchObject({
    verdict: Verdict.STOPS,
    securityGroup: "no-web",
    ruleNumber: 1,
    reason:
      "denied by rule 1 of no-web: direction=ingress,protocol=any,remote_group=default,priority=1",
  });
  expect((await trace(world, "db")).verdict).toBe(Verdict.PASSES);
  expect((await trace(world, "db", { protocol: "icmp", icmpType: "13" })).verdict).toBe(
    Verdict.STOPS,
  );
  await apply(world, "default", { direction: "egress", remoteCidr: "10.0.0.0/30" });
  expect(stopping(await trace(world, "db"))[0]).toBe("no rule for egress of default allows it");
});

test("it says which path, address or state stops a packet", async () => {
  await using world = await traceWorld(2);
  await world.networks.applyNetwork({ name: "alone", ...BOTH, isolated: true });
  const alone = [{ networkName: "alone" }];
  await machine(world, "here", { nics: alone });
  await machine(world, "there", { nics: alone, node: "node-2" });
  const source = { virtualMachineName: "here" };
  expect(stopping(await trace(world, "there", { source }))).toEqual([
    'network "alone" is isolated: its guests stay on their nodes',
  ]);
  await world.networks.applyNetwork({ name: "other", ...BOTH, ipv6Cidr: "", natOff: true });
  await machine(world, "far", { nics: [{ networkName: "other" }] });
  expect(stopping(await trace(world, "far"))).toEqual([
    'nothing leads from network "net" to network "other"',
  ]);
  await machine(world, "bare", { nics: [{ networkName: "net", ipv4Address: "none" }] });
  expect(stopping(await trace(world, "bare", { ipVersion: 4 }))).toEqual([
    'nic 0 of virtual machine "bare", in network "net", has no IPv4 address',
  ]);
  expect((await trace(world, "bare")).verdict).toBe(Verdict.PASSES);
  await world.virtualMachines.shutdownVirtualMachine({ name: "bare", hard: true });
  expect(stopping(await trace(world, "bare"))).toEqual(['virtual machine "bare" is SHUTDOWN']);
});

test("it follows a packet to an address: of a guest, the gateway, nobody, and outside", async () => {
  await using world = await traceWorld(1);
  const to = (address: string, fields = {}) => trace(world, { address }, fields);
  const { nics } = await world.virtualMachines.getVirtualMachine({ name: "db" });
  expect((await to(nics[0]!.ipv4Address)).steps.at(-2)).toMatchObject({
    place: Place.DESTINATION,
    verdict: Verdict.PASSES,
  });
  expect((await to("FD00:0::1")).verdict).toBe(Verdict.PASSES);
  expect((await to("10.0.0.254", { protocol: "udp", port: 53 })).verdict).toBe(Verdict.PASSES);
  expect(stopping(await to("10.0.0.254", { port: 22 }))).toEqual([
    'the gateway of network "net" answers DNS, DHCP and pings, and not tcp to port 22',
  ]);
  expect(stopping(await to("10.0.0.9"))).toEqual([
    'nobody on network "net" has the address 10.0.0.9',
  ]);
  const outside = await to("192.0.2.7");
  expect(outside.verdict).toBe(Verdict.UNKNOWN);
  expect(stopping(await to("169.254.1.1"))[0]).toContain("guests never reach 169.254.1.1");
  expect((await to("169.254.169.254", { protocol: "tcp", port: 80 })).verdict).toBe(Verdict.PASSES);
  expect(stopping(await to("fd00:ec2::254", { protocol: "tcp", port: 22 }))).toEqual([
    "metadata is HTTP on port 80, and not tcp to port 22",
  ]);
  await world.networks.applyNetwork({ name: "net", ...BOTH, natOff: true });
  expect(stopping(await to("192.0.2.7"))).toEqual([
    'nat_off of network "net": nothing leads outside',
  ]);
});

test("it shows what is not as the records say on the nodes of the two", async () => {
  await using world = await traceWorld(2);
  const { taps } = world.fakeNodes[1]!.drivers.network.hands;
  const name = deviceName("db0");
  taps.set(name, { ...taps.get(name)!, isLoose: true });
  const answer = await trace(world, "db");
  expect(answer.verdict).toBe(Verdict.STOPS);
  expect(answer.steps.at(-1)).toMatchObject({
    place: Place.NODE,
    nodeName: "node-2",
    findingCode: "tap.not_connected",
  });
  expect((await trace(world, "db", { recordsOnly: true })).verdict).toBe(Verdict.PASSES);
});

test("another project's guest is not seen, only that its groups decide", async () => {
  await using world = await traceWorld(1);
  const acme = await inProject(world, "acme");
  await world.networks.setNetworkVisibility({ name: "net", visibility: 3 });
  const theirs = await machine(acme, "theirs", { nics: [{ networkName: "default/net" }] });
  const address = theirs.nics[0]!.ipv4Address;
  const answer = await trace(world, { address });
  expect(answer.verdict).toBe(Verdict.UNKNOWN);
  expect(JSON.stringify(linesOf(answer))).not.toContain("theirs");
  expect(await refused(trace(world, "theirs"))).toMatchObject({ code: "NotFound" });
});

test.each([
  ["port: is required with the protocol tcp", { protocol: "tcp" }],
  ["port: must be 0 unless protocol is tcp, udp or sctp", { protocol: "icmp", port: 5 }],
  ["icmp_type: must be empty unless protocol is icmp or icmpv6", { port: 5, icmpType: "8" }],
  ['protocol: "icmpv6" is not of IPv4', { protocol: "icmpv6" }],
  ["icmp_type: must be a type such as 8", { icmpType: "x" }],
  ["destination.virtual_machine_name: is required", { destination: {} }],
  ["destination.address: must be an IPv4 or IPv6 address", { destination: { address: "x" } }],
  ["source.address: must be empty", { source: { address: "10.0.0.1" } }],
  [
    'destination.network_interface_name: must be a nic of "db": db0',
    { destination: { virtualMachineName: "db", networkInterfaceName: "web0" } },
  ],
])("refused: %s", async (message, fields) => {
  await using world = await traceWorld(1);
  const refusal = await refused(trace(world, "db", fields));
  expect(refusal.message).toContain(message);
  expect(refusal.code).toBe("InvalidArgument");
});
