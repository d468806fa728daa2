import { expect, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { usedMs } from "../../../../test/used-time.ts";
import { findingsIn, linesOf } from "../../../../test/verify-world.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";

const net = { name: "net", ipv4Cidr: "10.0.0.0/24" };
const dual = { ...net, ipv6Cidr: "fd00::/64" };

async function reserve(world: World, name: string, wish: object = {}) {
  const request = { networkName: "net", networkInterfaceName: name, ...wish };
  const { reservedNetworkInterfaces } = await world.networks.reserveNetworkInterface(request);
  return reservedNetworkInterfaces[name]!;
}

test("automatic choice leaves reserved ranges alone, and who asks for an address of one gets it", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const ranges = ["10.0.0.200-10.0.0.253", "fd00::ffff:0:0:0/80", "10.0.0.198"];
  const applied = await world.networks.applyNetwork({ ...dual, reservedRanges: ranges });
  expect(applied.reservedRanges).toEqual(ranges);
  expect((await world.networks.getNetwork({ name: "net" })).reservedRanges).toEqual(ranges);

  const web = await world.virtualMachines.createVirtualMachine(webRequest());
  expect(web.nics[0]).toMatchObject({
    ipv4Address: "10.0.0.199",
    ipv6Address: "fd00::fffe:ffff:ffff:ffff",
  });
  expect(await reserve(world, "b")).toMatchObject({ ipv4Address: "10.0.0.197" });
  const asked = { ipv4Address: "10.0.0.253", ipv6Address: "fd00::ffff:ffff:ffff:ffff" };
  expect(await reserve(world, "asked", asked)).toMatchObject(asked);
  // What is free again within a range is still in it.
  const gone = { networkName: "net", networkInterfaceName: "asked" };
  await world.networks.releaseNetworkInterface(gone);
  expect(await reserve(world, "c")).toMatchObject({ ipv4Address: "10.0.0.196" });
  expect(linesOf(await findingsIn(world))).toEqual([]);
});

test("ranges are kept as they are written, with addresses in one form, also over a restart", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const reservedRanges = ["10.0.0.77/28", "FD00:0::1-fd00::00ff", "10.0.0.9"];
  const { reservedRanges: shown } = await world.networks.applyNetwork({ ...dual, reservedRanges });
  expect(shown).toEqual(["10.0.0.64/28", "fd00::1-fd00::ff", "10.0.0.9"]);
  await world.restart();
  expect((await world.networks.getNetwork({ name: "net" })).reservedRanges).toEqual(shown);
  const again = await world.networks.applyNetwork({ ...dual, reservedRanges: shown });
  expect(again.reservedRanges).toEqual(shown);
});

test("an Apply replaces the ranges as it replaces labels, and the next choice follows", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ ...net, reservedRanges: ["10.0.0.128/25"] });
  expect(await reserve(world, "a")).toMatchObject({ ipv4Address: "10.0.0.127" });
  await world.networks.applyNetwork({ ...net, reservedRanges: ["10.0.0.240-10.0.0.254"] });
  expect(await reserve(world, "b")).toMatchObject({ ipv4Address: "10.0.0.239" });
  expect((await world.networks.applyNetwork(net)).reservedRanges).toEqual([]);
  expect(await reserve(world, "c")).toMatchObject({ ipv4Address: "10.0.0.253" });
  // Interfaces that have an address there already keep it.
  const { reservedNetworkInterfaces } = await world.networks.applyNetwork({
    ...net,
    reservedRanges: ["10.0.0.0/24"],
  });
  expect(reservedNetworkInterfaces["c"]).toMatchObject({ ipv4Address: "10.0.0.253" });
});

test("a share keeps the ranges, and a project with which the network is shared sees them", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  const reservedRanges = ["10.0.0.0/28"];
  await world.networks.applyNetwork({ ...net, reservedRanges });
  const { PUBLIC: visibility } = Visibility;
  expect(await world.networks.setNetworkVisibility({ name: "net", visibility })).toMatchObject({
    reservedRanges,
  });
  expect(await acme.networks.getNetwork({ name: "default/net" })).toMatchObject({ reservedRanges });
});

test("a network with nothing free outside of its ranges says so, and which field does it", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.networks.applyNetwork({ ...net, reservedRanges: ["10.0.0.0/24"] });
  const before = await world.residue();
  for (const call of [
    world.virtualMachines.createVirtualMachine(webRequest()),
    reserve(world, "a"),
  ]) {
    const refusal = await refused(call);
    expect(refusal).toMatchObject({ code: "ResourceExhausted", resource: "network/net" });
    expect(refusal.message).toMatch(
      /has no free IPv4 address outside its reserved_ranges: ask for/,
    );
  }
  expect(await world.residue()).toEqual(before);
  expect(await reserve(world, "none", { ipv4Address: "none" })).toMatchObject({ ipv4Address: "" });
  expect(await reserve(world, "b", { ipv4Address: "10.0.0.1" })).toMatchObject({
    ipv4Address: "10.0.0.1",
  });
});

test("an address that was chosen before its range came is not given any more", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork(net);
  const gate = newGate();
  world.faults = async ({ point, kind }) => {
    if (kind === "ReserveNetworkInterface" && point === "before_act") await gate.pass();
  };
  const reserving = reserve(world, "a");
  await gate.reached;
  await world.networks.applyNetwork({ ...net, reservedRanges: ["10.0.0.128/25"] });
  gate.open();
  expect((await refused(reserving)).code).toBe("Aborted");
  expect(await reserve(world, "a")).toMatchObject({ ipv4Address: "10.0.0.127" });
});

test.for([
  [0, ["web"], "is not a range of addresses"],
  [0, ["10.0.0.9-10.0.0.1"], "the lower address first"],
  [1, ["10.0.0.1", "10.0.1.1"], "10.0.1.1 is not within ipv4_cidr, 10.0.0.0/24"],
  [0, ["10.0.0.250-10.0.1.1"], "is not within ipv4_cidr"],
  [0, ["10.0.0.0/16"], "is not within ipv4_cidr"],
  [0, ["fd01::/80"], "is not within ipv6_cidr, fd00::/64"],
  [
    2,
    ["10.0.0.1", "10.0.0.8/29", "10.0.0.15-10.0.0.16"],
    "overlaps reserved_ranges[1], 10.0.0.8/29",
  ],
  [1, ["fd00::1", "FD00:0::1"], "overlaps reserved_ranges[0], fd00::1"],
  [0, [""], "reserved_ranges[0]"],
  [0, ["1".repeat(97)], "reserved_ranges[0]"],
] as const)("range %i of %j is refused: %s", async ([index, reservedRanges, why]) => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork(dual);
  const before = await world.residue();
  const applying = world.networks.applyNetwork({ ...dual, reservedRanges: [...reservedRanges] });
  const refusal = await refused(applying);
  const field = `reserved_ranges[${index}]`;
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
  expect(refusal.message).toContain(why);
  expect(await world.residue()).toEqual(before);
});

test("ranges are at most 64, and need a CIDR of their family, also when one is taken away", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const many = (count: number) => Array.from({ length: count }, (_, i) => `10.0.0.${2 * i + 1}`);
  await world.networks.applyNetwork({ ...net, reservedRanges: many(64) });
  expect(
    await refused(world.networks.applyNetwork({ ...net, reservedRanges: many(65) })),
  ).toMatchObject({ code: "InvalidArgument", field: "reserved_ranges" });
  const reservedRanges = ["10.0.0.1", "fd00::/80"];
  await world.networks.applyNetwork({ ...dual, reservedRanges });
  const refusal = await refused(world.networks.applyNetwork({ ...net, reservedRanges }));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field: "reserved_ranges[1]" });
  expect(refusal.message).toContain("the network has no ipv6_cidr for fd00::/80");
});

test("the size of ranges costs nothing, and neither does a full part of the network", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const large = { name: "net", ipv4Cidr: "10.0.0.0/12", ipv6Cidr: "fd00::/8" };
  // From the top: a range of half a million addresses, some free ones, and a range of as many again.
  const reservedRanges = ["10.8.0.0/13", "10.0.0.0-10.7.255.200", "fd80::/9"];
  await world.networks.applyNetwork({ ...large, reservedRanges });
  const beganMs = usedMs();
  for (let i = 0; i < 55; i++) {
    expect(await reserve(world, `i${i}`)).toMatchObject({ ipv4Address: `10.7.255.${255 - i}` });
  }
  for (let i = 0; i < 20; i++) {
    expect(await refused(reserve(world, "more"))).toMatchObject({ code: "ResourceExhausted" });
  }
  expect(usedMs() - beganMs).toBeLessThan(5_000);
});
