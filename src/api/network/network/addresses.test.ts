import { expect, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { fc } from "../../../../test/properties.ts";
import { refused } from "../../../../test/refused.ts";
import { usedMs } from "../../../../test/used-time.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { bridgeHardwareAddress, deviceName, hardwareAddress } from "../../../util/checksum.ts";

interface Wish {
  readonly hardwareAddress?: string;
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
}

async function reserve(world: World, name: string, wish: Wish = {}) {
  const request = { networkName: "net", networkInterfaceName: name, ...wish };
  const network = await world.networks.reserveNetworkInterface(request);
  return network.reservedNetworkInterfaces[name]!;
}

async function release(world: World, name: string) {
  await world.networks.releaseNetworkInterface({ networkName: "net", networkInterfaceName: name });
}

test("addresses that are not asked for are chosen, the highest free one of each family", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  expect(await reserve(world, "a")).toMatchObject({
    ipv4Address: "10.0.0.253",
    ipv6Address: "fd00::ffff:ffff:ffff:ffff",
    hardwareAddress: hardwareAddress("net/a"),
  });
  expect(await reserve(world, "b", { ipv4Address: "10.0.0.251" })).toMatchObject({
    ipv4Address: "10.0.0.251",
    ipv6Address: "fd00::ffff:ffff:ffff:fffe",
  });
  expect(await reserve(world, "c")).toMatchObject({ ipv4Address: "10.0.0.252" });
  expect(await reserve(world, "d")).toMatchObject({ ipv4Address: "10.0.0.250" });
});

test("low addresses are free for those who ask for them, in whatever order they come", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  for (let i = 0; i < 50; i++) await reserve(world, `automatic-${i}`);
  for (let i = 2; i < 50; i++) {
    const asked = { ipv4Address: `10.0.0.${i}`, ipv6Address: `fd00::${i.toString(16)}` };
    expect(await reserve(world, `asked-${i}`, asked)).toMatchObject(asked);
  }
});

test("an interface that asks for no address of a family has none, and no other one of it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  const before = await world.residue();
  expect(await reserve(world, "a", { ipv4Address: "none" })).toMatchObject({
    ipv4Address: "",
    ipv6Address: "fd00::ffff:ffff:ffff:ffff",
  });
  expect(await reserve(world, "b", { ipv4Address: "none", ipv6Address: "none" })).toMatchObject({
    ipv4Address: "",
    ipv6Address: "",
    hardwareAddress: hardwareAddress("net/b"),
  });
  await release(world, "a");
  await release(world, "b");
  expect(await world.residue()).toEqual(before);
});

test("an address that somebody is just asking for is not chosen, and one just chosen not given", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const gate = newGate();
  world.faults = async ({ point, kind }) => {
    if (kind === "ReserveNetworkInterface" && point === "before_act") await gate.pass();
  };
  const asking = reserve(world, "a", { ipv4Address: "10.0.0.253" });
  await gate.reached;
  const choosing = reserve(world, "b");
  expect(await refused(reserve(world, "c", { ipv4Address: "10.0.0.252" }))).toMatchObject({
    code: "Aborted",
    message: expect.stringContaining("10.0.0.252"),
  });
  gate.open();
  expect(await asking).toMatchObject({ ipv4Address: "10.0.0.253" });
  expect(await choosing).toMatchObject({ ipv4Address: "10.0.0.252" });
  expect(await reserve(world, "d")).toMatchObject({ ipv4Address: "10.0.0.251" });
});

test("an address that is released is free again, and nothing is left of it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const before = await world.residue();
  await reserve(world, "a");
  await reserve(world, "b");
  await release(world, "a");
  expect(await reserve(world, "c")).toMatchObject({ ipv4Address: "10.0.0.253" });
  await release(world, "b");
  await release(world, "c");
  expect(await world.residue()).toEqual(before);
  const gone = { networkName: "net", networkInterfaceName: "a" };
  expect(await refused(world.networks.releaseNetworkInterface(gone))).toMatchObject({
    code: "NotFound",
  });
});

test("a network of one family gives only that", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv6Cidr: "fd00::/64" });
  expect(await reserve(world, "a")).toMatchObject({
    ipv4Address: "",
    ipv6Address: "fd00::ffff:ffff:ffff:ffff",
  });
  expect(await refused(reserve(world, "b", { ipv4Address: "10.0.0.1" }))).toMatchObject({
    code: "InvalidArgument",
    field: "ipv4_address",
  });
});

test.for([
  ["the network's address", "InvalidArgument", { ipv4Address: "10.0.0.0" }],
  ["the broadcast address", "InvalidArgument", { ipv4Address: "10.0.0.255" }],
  ["an address of another network", "InvalidArgument", { ipv4Address: "10.0.1.1" }],
  ["no address", "InvalidArgument", { ipv4Address: "10.0.0" }],
  ["the gateway's address", "AlreadyExists", { ipv4Address: "10.0.0.254" }],
  ["a taken address", "AlreadyExists", { ipv4Address: "10.0.0.1" }],
  ["the IPv6 network's address", "InvalidArgument", { ipv6Address: "fd00::" }],
  ["the IPv6 gateway's address", "AlreadyExists", { ipv6Address: "fd00:0::1" }],
  ["a taken IPv6 address", "AlreadyExists", { ipv6Address: "FD00:0:0:0::0:2" }],
  ["an IPv6 address of another network", "InvalidArgument", { ipv6Address: "fd01::2" }],
  ["no IPv6 address", "InvalidArgument", { ipv6Address: "10.0.0.9" }],
  ["no MAC address", "InvalidArgument", { hardwareAddress: "52:54:00:12:34" }],
  ["a multicast MAC address", "InvalidArgument", { hardwareAddress: "53:54:00:12:34:56" }],
  ["a MAC address of zeros", "InvalidArgument", { hardwareAddress: "00:00:00:00:00:00" }],
  ["the broadcast MAC address", "InvalidArgument", { hardwareAddress: "ff:ff:ff:ff:ff:ff" }],
  ["a taken MAC address", "AlreadyExists", { hardwareAddress: "52:54:00:00:00:0A" }],
  [
    "the MAC address of the bridge",
    "AlreadyExists",
    { hardwareAddress: bridgeHardwareAddress("net") },
  ],
] as const)("%s is refused as %s", async ([, code, wish]) => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  await reserve(world, "taken", {
    hardwareAddress: "52:54:00:00:00:0a",
    ipv4Address: "10.0.0.1",
    ipv6Address: "fd00::2",
  });
  const before = await world.residue();
  const refusal = await refused(reserve(world, "new", wish));
  expect(refusal.code).toBe(code);
  if (code === "InvalidArgument") expect(refusal.field).toMatch(/^(ipv[46]|hardware)_address$/);
  else
    expect(refusal.message).toMatch(
      /(is taken by interface "\S+"|belongs to the gateway).*: use another/,
    );
  expect(await world.residue()).toEqual(before);
});

test("a hardware address is kept in lower case, and an interface has one name", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const mac = { hardwareAddress: "52:54:00:AB:CD:EF" };
  expect(await reserve(world, "a", mac)).toMatchObject({ hardwareAddress: "52:54:00:ab:cd:ef" });
  expect(await refused(reserve(world, "a"))).toMatchObject({ code: "AlreadyExists" });
  expect(await refused(reserve(world, "default-gateway"))).toMatchObject({ code: "AlreadyExists" });
  expect(await refused(release(world, "default-gateway"))).toMatchObject({
    code: "FailedPrecondition",
  });
});

test("names whose checksums are the same get different hardware addresses", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/8" });
  const [first, second] = collidingNames((name) => hardwareAddress(`net/${name}`));
  const a = await reserve(world, first);
  const b = await reserve(world, second);
  expect(a.hardwareAddress).toBe(hardwareAddress(`net/${first}`));
  expect(b.hardwareAddress).not.toBe(a.hardwareAddress);
});

test("no interface is given the hardware address of its network's bridge", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  // The only names whose checksum is the same.
  await world.networks.applyNetwork({ name: "network", ipv4Cidr: "10.0.0.0/24" });
  const request = { networkName: "network", networkInterfaceName: "network" };
  const { reservedNetworkInterfaces } = await world.networks.reserveNetworkInterface(request);
  const given = reservedNetworkInterfaces["network"]?.hardwareAddress;
  expect(hardwareAddress("network/network")).toBe(bridgeHardwareAddress("network"));
  expect(given).toMatch(/^52:54:/);
  expect(given).not.toBe(bridgeHardwareAddress("network"));
});

/** Two names with the same checksum; a CRC of 32 bits needs some 80,000 tries for that. */
function collidingNames(checksum: (name: string) => string): readonly [string, string] {
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    // Neighbours never collide, so the names are spread.
    const name = `i${Math.imul(i, 2_654_435_761) >>> 0}x${i.toString(36)}`;
    const sum = checksum(name);
    const other = seen.get(sum);
    if (other !== undefined) return [other, name];
    seen.set(sum, name);
  }
}

test("device names are at most 15 bytes", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9.-]{1,80}$/), (name) => {
      expect(deviceName(name).length).toBeLessThanOrEqual(15);
    }),
  );
});

test("the size of a network costs nothing", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const beganMs = usedMs();
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/8", ipv6Cidr: "fd00::/8" });
  expect(await reserve(world, "a")).toMatchObject({
    ipv4Address: "10.255.255.253",
    ipv6Address: "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  });
  const asked = { ipv4Address: "10.0.0.1", ipv6Address: "fd00::2" };
  expect(await reserve(world, "b", asked)).toMatchObject(asked);
  expect(await reserve(world, "c")).toMatchObject({ ipv4Address: "10.255.255.252" });
  expect(usedMs() - beganMs).toBeLessThan(2_000);
});

test("200 interfaces at once get 200 addresses", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  const made = await Promise.all(Array.from({ length: 200 }, (_, i) => reserve(world, `i${i}`)));
  expect(new Set(made.map((i) => i.ipv4Address)).size).toBe(200);
  expect(new Set(made.map((i) => i.ipv6Address)).size).toBe(200);
  expect(made.map((i) => i.ipv4Address)).toContain("10.0.0.54");
});

test("a full network says so, and one that asks for the last address gets it once", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/29" });
  const calls = Array.from({ length: 10 }, (_, i) => reserve(world, `i${i}`));
  const results = await Promise.allSettled(calls);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
  const full = await refused(reserve(world, "more"));
  expect(full).toMatchObject({ code: "ResourceExhausted", resource: "network/net" });
  await release(world, "i2");
  const last = Array.from({ length: 5 }, (_, i) =>
    reserve(world, `j${i}`, { ipv4Address: "10.0.0.3" }),
  );
  const granted = await Promise.allSettled(last);
  expect(granted.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a network that is made again with another CIDR gives addresses of that one", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  for (const [cidr, highest] of [
    ["192.168.0.0/24", "192.168.0.253"],
    ["10.0.0.0/24", "10.0.0.253"],
    ["10.0.0.0/8", "10.255.255.253"],
    ["172.16.0.0/12", "172.31.255.253"],
  ] as const) {
    await world.networks.applyNetwork({ name: "net", ipv4Cidr: cidr });
    expect(await reserve(world, "a")).toMatchObject({ ipv4Address: highest });
    await release(world, "a");
    await world.networks.deleteNetwork({ name: "net" });
  }
});

test("what is reserved is still taken after a restart", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await reserve(world, "a");
  await world.restart();
  expect(await reserve(world, "b")).toMatchObject({ ipv4Address: "10.0.0.252" });
});
