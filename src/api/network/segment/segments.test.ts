import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { networkRef } from "../../../../test/refs.ts";
import { refused } from "../../../../test/refused.ts";
import { webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { until } from "../../../util/until.ts";
import { networks } from "../network/collection.ts";
import { vnis } from "./collection.ts";

const CIDR = { ipv4Cidr: "10.7.0.0/24", ipv6Cidr: "fd07::/64" };
const NODE = "n0core/provisioning/virtual_machine/request_node_name";

async function addGuest(world: World, name: string, node: number, network = "net") {
  const annotations = { [NODE]: `node-${node}` };
  const request = { ...webRequest(name, []), annotations, nics: [{ networkName: network }] };
  return await world.virtualMachines.createVirtualMachine(request);
}

/** By node, the guests that each network there reaches on other nodes, and where. */
async function seen(world: World, network = "net") {
  await world.opened.api.segments.atRest();
  return world.fakeNodes.map((node) => {
    const found = node.drivers.network.snapshot().networks[network];
    if (found === undefined) return "no network";
    const { segment } = found;
    return segment?.peers.map((p) => `${p.addresses[0]} at ${p.underlayAddress}`).sort() ?? [];
  });
}

/** The messages of each node, in short: `*` for all members, otherwise what has changed. */
function listen(world: World) {
  const heard: string[] = [];
  for (const [i, node] of world.fakeNodes.entries()) {
    const { unary } = node.transport;
    node.transport.unary = async (method, signal, timeoutMs, header, input, values) => {
      if (method.name === "PushSegments") {
        const { segments = [] } = input as { segments?: Pushed[] };
        for (const one of segments) {
          const line = shown(one);
          // A node that was silent on a busy host is asked whether it has all.
          if (line !== "nothing new") heard.push(`node-${i + 1} ${line}`);
        }
      }
      return await unary(method, signal, timeoutMs, header, input, values);
    };
  }
  return heard;
}

interface Pushed {
  readonly baseGeneration?: bigint;
  readonly members?: readonly { readonly interfaceName?: string }[];
  readonly removed?: readonly string[];
  readonly forgotten?: boolean;
}

function shown({ baseGeneration, members = [], removed = [], forgotten }: Pushed): string {
  if (forgotten === true) return "forgets";
  if (baseGeneration === 0n) return "*";
  const changes = [
    ...members.map((one) => `+${one.interfaceName}`),
    ...removed.map((n) => `-${n}`),
  ];
  return changes.sort().join(" ") || "nothing new";
}

test("guests of one network know each other on every node, and nobody else", async () => {
  await using world = await newWorld({ nodeCount: 3 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  await world.networks.applyNetwork({ name: "other", ipv4Cidr: "10.8.0.0/24" });
  await addGuest(world, "a", 1);
  expect(await seen(world)).toEqual([[], "no network", "no network"]);
  await addGuest(world, "b", 2);
  await addGuest(world, "c", 3, "other");
  const [a, b] = ["10.7.0.253", "10.7.0.252"];
  expect(await seen(world)).toEqual([[`${b} at 192.0.2.2`], [`${a} at 192.0.2.1`], "no network"]);
  expect(await seen(world, "other")).toEqual(["no network", "no network", []]);
  await world.virtualMachines.deleteVirtualMachine({ name: "b" });
  expect(await seen(world)).toEqual([[], "no network", "no network"]);
});

test("the answer of a create comes when the other nodes know of its guest", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  await addGuest(world, "a", 1);
  await addGuest(world, "b", 2);
  const [first] = world.fakeNodes.map((node) => node.drivers.network.snapshot().networks["net"]);
  expect(first?.segment?.peers).toMatchObject([
    { addresses: ["10.7.0.252", "fd07::ffff:ffff:ffff:fffe"] },
  ]);
});

test("a node gets all of a table once, and then what changes", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const heard = listen(world);
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  await addGuest(world, "a", 1);
  await addGuest(world, "a2", 1);
  await world.residue();
  // Once: an earlier process may have told it more.
  expect(heard.splice(0)).toEqual(["node-1 forgets"]);
  await addGuest(world, "b", 2);
  await world.residue();
  expect(heard.splice(0).sort()).toEqual(["node-1 *", "node-2 *"]);
  await addGuest(world, "b2", 2);
  await world.residue();
  expect(heard.splice(0).sort()).toEqual(["node-1 +b20", "node-2 +b20"]);
  await world.virtualMachines.deleteVirtualMachine({ name: "b2" });
  await world.residue();
  expect(heard.splice(0).sort()).toEqual(["node-1 -b20", "node-2 -b20"]);
  await world.virtualMachines.deleteVirtualMachine({ name: "b" });
  await world.residue();
  expect(heard.splice(0).sort()).toEqual(["node-1 forgets", "node-2 forgets"]);
});

test("a node that was cut off gets the newest state, and holds up nobody", async () => {
  await using world = await newWorld({ nodeCount: 3 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  for (const [i, name] of ["a", "b", "c"].entries()) await addGuest(world, name, i + 1);
  const heard = listen(world);
  world.fakeNodes[2]!.isDown = true;
  for (let i = 0; i < 25; i++) await addGuest(world, `more-${i}`, 1 + (i % 2));
  for (let i = 0; i < 25; i++)
    await world.virtualMachines.deleteVirtualMachine({ name: `more-${i}` });
  await world.virtualMachines.deleteVirtualMachine({ name: "b" });
  heard.splice(0);
  world.fakeNodes[2]!.isDown = false;
  await until(() => world.opened.api.segments.isReached("node-3", networkRef("net")));
  expect(await seen(world)).toEqual([
    ["10.7.0.251 at 192.0.2.3"],
    "no network",
    ["10.7.0.253 at 192.0.2.1"],
  ]);
  expect(heard.filter((line) => line.startsWith("node-3"))).toHaveLength(1);
});

test("an agent that starts again gets its tables when it registers", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  await addGuest(world, "a", 1);
  await addGuest(world, "b", 2);
  const heard = listen(world);
  await world.fakeNodes[0]!.restart();
  const { hands } = world.fakeNodes[0]!.drivers.network;
  const { segment: _, ...without } = hands.networks.get("net")!;
  hands.networks.set("net", without);
  const node = await world.nodes.getNode({ name: "node-1" });
  await world.nodes.applyNode({ ...request(node) });
  await until(async () => (await seen(world))[0]?.length === 1);
  expect(heard).toEqual(["node-1 *"]);
});

test("a node with another underlay address is found there by all", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  await addGuest(world, "a", 1);
  await addGuest(world, "b", 2);
  const node = await world.nodes.getNode({ name: "node-2" });
  const { hands } = world.fakeNodes[1]!.drivers.network;
  hands.underlays.set("192.0.2.22", { device: "eth1", mtu: 9000 });
  await world.nodes.applyNode({ ...request(node), underlayAddress: "192.0.2.22" });
  await world.seen();
  expect(await seen(world)).toEqual([["10.7.0.252 at 192.0.2.22"], ["10.7.0.253 at 192.0.2.1"]]);
  expect(hands.networks.get("net")?.segment?.underlayAddress).toBe("192.0.2.22");
  await world.nodes.applyNode({ ...request(node), underlayAddress: "" });
  await world.seen();
  expect(await seen(world)).toEqual([[], []]);
});

function request({
  name,
  address,
  cpuMilliCores,
  memoryBytes,
  storageBytes,
  ...node
}: Awaited<ReturnType<World["nodes"]["getNode"]>>) {
  const { underlayAddress, underlayMtu } = node;
  return { name, address, cpuMilliCores, memoryBytes, storageBytes, underlayAddress, underlayMtu };
}

test("an API that starts brings all nodes what another one may have left undone", async () => {
  await using world = await newWorld({ nodeCount: 3 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  for (const [i, name] of ["a", "b", "c"].entries()) await addGuest(world, name, i + 1);
  const before = await seen(world);
  for (const node of world.fakeNodes) {
    const { hands } = node.drivers.network;
    const { segment: _, ...without } = hands.networks.get("net")!;
    hands.networks.set("net", without);
  }
  await world.restart();
  expect(await seen(world)).toEqual(before);
});

test("a node forgets what an API has told it that died before it could take it back", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  await addGuest(world, "a", 1);
  await addGuest(world, "b", 2);
  const { transport } = world.fakeNodes[0]!;
  const { unary } = transport;
  transport.unary = async (...call) => {
    if (call[0].name === "PushSegments") throw new ConnectError("lost", Code.Unavailable);
    return await unary(...call);
  };
  for (const name of ["b", "a"]) await world.virtualMachines.deleteVirtualMachine({ name });
  await world.restart();
  transport.unary = unary;
  // Of this network it has nobody to tell anything, until a guest comes.
  await addGuest(world, "alone", 1);
  expect(await seen(world)).toEqual([[], "no network"]);
});

test("what a node refuses fails no create, and its reason is known", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const { vni } = await world.networks.applyNetwork({ name: "net", ...CIDR });
  world.fakeNodes[0]!.drivers.network.hands.foreignVnis.add(vni);
  await addGuest(world, "a", 1);
  await addGuest(world, "b", 2);
  expect(await seen(world)).toEqual([[], ["10.7.0.253 at 192.0.2.1"]]);
  const { segments } = world.opened.api;
  expect(segments.refusal("node-1", networkRef("net"))).toContain(`number ${vni}`);
  world.fakeNodes[0]!.drivers.network.hands.foreignVnis.clear();
  await segments.renew("node-1", networkRef("net"), AbortSignal.timeout(5_000));
  expect(await seen(world)).toEqual([["10.7.0.252 at 192.0.2.2"], ["10.7.0.253 at 192.0.2.1"]]);
});

test("an isolated network has no number, and its guests meet only on their node", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const made = await world.networks.applyNetwork({ name: "net", ...CIDR, isolated: true });
  expect(made).toMatchObject({ vni: 0, mtu: 1500, isolated: true });
  await addGuest(world, "a", 1);
  await addGuest(world, "b", 2);
  expect(await seen(world)).toEqual([[], []]);
  const change = world.networks.applyNetwork({ name: "net", ...CIDR });
  expect(await refused(change)).toMatchObject({ code: "FailedPrecondition", field: "isolated" });
});

test("each network has a number of its own, which is free when it is gone", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const names = Array.from({ length: 20 }, (_, i) => `net-${i}`);
  const made: Network[] = [];
  for (const [i, name] of names.entries()) {
    made.push(await world.networks.applyNetwork({ name, ipv4Cidr: `10.${i}.0.0/16` }));
  }
  expect(new Set(made.map(({ vni }) => vni)).size).toBe(20);
  // Labels change nothing of it.
  const again = await world.networks.applyNetwork({
    name: "net-0",
    ipv4Cidr: "10.0.0.0/16",
    labels: { a: "b" },
  });
  expect(again).toMatchObject({ vni: made[0]?.vni, mtu: 1450 });
  for (const name of names) await world.networks.deleteNetwork({ name });
  expect(await world.residue()).toEqual(before);
});

test("the number that a network would have and another one has is not given twice", async () => {
  await using world = await newWorld();
  const { vni } = await world.networks.applyNetwork({ name: "net", ...CIDR });
  await world.networks.deleteNetwork({ name: "net" });
  await world.opened.api.datastore.batch(put(vnis, [String(vni)], { network: "network/other" }));
  expect(await world.networks.applyNetwork({ name: "net", ...CIDR })).toMatchObject({
    vni: vni + 1,
  });
});

test("the MTU can change while no virtual machine has a nic in the network", async () => {
  await using world = await newWorld();
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  expect(await world.networks.applyNetwork({ name: "net", ...CIDR, mtu: 8950 })).toMatchObject({
    mtu: 8950,
  });
  await addGuest(world, "a", 1);
  expect(world.fakeNodes[0]!.drivers.network.snapshot().networks["net"]).toMatchObject({
    mtu: 8950,
  });
  const change = world.networks.applyNetwork({ name: "net", ...CIDR, mtu: 1450 });
  expect(await refused(change)).toMatchObject({ code: "FailedPrecondition", field: "mtu" });
  // Who says nothing leaves it.
  expect(await world.networks.applyNetwork({ name: "net", ...CIDR })).toMatchObject({ mtu: 8950 });
  for (const mtu of [1279, 9001]) {
    const wrong = world.networks.applyNetwork({ name: "net", ...CIDR, mtu });
    expect(await refused(wrong)).toMatchObject({ code: "InvalidArgument", field: "mtu" });
  }
});

test("networks of an older version get numbers, and keep packets of 1500 bytes while they have guests", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  for (const name of ["net", "empty"]) {
    await world.networks.applyNetwork({
      name,
      ipv4Cidr: name === "net" ? "10.7.0.0/24" : "10.8.0.0/24",
    });
  }
  await addGuest(world, "a", 1);
  const { datastore, records } = world.opened.api;
  for (const { key, value } of await records.list(networks)) {
    const ref = networks.refOf(key);
    await datastore.batch({
      ...put(networks, [ref], { ...value, vni: 0, mtu: 0 }),
      deletes: [vnis.key(String(value.vni))],
    });
  }
  await world.restart();
  const [net, empty] = [
    await world.networks.getNetwork({ name: "net" }),
    await world.networks.getNetwork({ name: "empty" }),
  ];
  expect([net.mtu, empty.mtu]).toEqual([1500, 1450]);
  expect(new Set([net.vni, empty.vni, 0]).size).toBe(3);
  await addGuest(world, "b", 2);
  // Its packets do not fit into those between the nodes.
  expect(await seen(world)).toEqual([[], []]);
  expect(world.opened.api.segments.refusal("node-1", networkRef("net"))).toContain("need 1550");
});

test("DNS on each node knows the guests on the others, in a shared network with their projects", async () => {
  await using world = await newWorld({ nodeCount: 2, inMemory: true });
  const acme = await inProject(world, "acme");
  await world.networks.applyNetwork({ name: "net", ...CIDR, domain: "net.internal" });
  await world.networks.setNetworkVisibility({ name: "net", visibility: Visibility.PUBLIC });
  await addGuest(world, "near", 1);
  await addGuest(world, "Far.1", 2);
  await addGuest(acme, "far", 2, "default/net");
  const names = async () => {
    await world.opened.api.segments.atRest();
    return world.fakeNodes.map((node) => {
      const { elsewhere = [] } = node.drivers.network.snapshot().networks["net"] ?? {};
      return elsewhere.map(({ name = "" }) => name).sort();
    });
  };
  expect(await names()).toEqual([["far-1", "far.acme"], ["near"]]);
  await world.virtualMachines.deleteVirtualMachine({ name: "Far.1" });
  expect(await names()).toEqual([["far.acme"], ["near"]]);
  await world.virtualMachines.deleteVirtualMachine({ name: "near" });
  expect(await names()).toEqual([[], []]);
});

test("other nodes know the secondary addresses of a nic, from the moment it has them", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ...CIDR });
  await addGuest(world, "near", 1);
  await addGuest(world, "far", 2);
  const addresses = async () => {
    await world.opened.api.segments.atRest();
    const { networks: there } = world.fakeNodes[0]!.drivers.network.snapshot();
    return there.net?.segment?.peers.map((peer) => peer.addresses);
  };
  const [first] = (await addresses()) ?? [];
  const change = { name: "far", networkInterfaceName: "far0" };
  await world.virtualMachines.setNicAddresses({ ...change, secondaryAddresses: ["10.7.0.9"] });
  expect(await addresses()).toEqual([[...(first ?? []), "10.7.0.9"].sort()]);
  await world.virtualMachines.setNicAddresses(change);
  expect(await addresses()).toEqual([first]);
});
