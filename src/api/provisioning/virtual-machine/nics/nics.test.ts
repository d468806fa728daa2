import { expect, test } from "vitest";
import { networkRef } from "../../../../../test/refs.ts";
import { refused } from "../../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../../test/world.ts";
import { putNew } from "../../../../datastore/collection.ts";
import { deviceName, hardwareAddress } from "../../../../util/checksum.ts";
import { addresses } from "../../../network/interface/collection.ts";
import { type ReserveInterface, reserveInterface } from "../../../network/interface/interfaces.ts";

const GATEWAY = "n0core/provisioning/virtual_machine/is_gateway";

async function networks(world: World): Promise<void> {
  await world.networks.applyNetwork({
    name: "one",
    ipv4Cidr: "10.0.1.0/24",
    ipv6Cidr: "fd01::/64",
    domain: "one.example",
  });
  await world.networks.applyNetwork({ name: "two", ipv4Cidr: "10.0.2.0/24" });
}

function request(
  name: string,
  ...nics: {
    networkName: string;
    ipv4Address?: string;
    ipv6Address?: string;
    hardwareAddress?: string;
    annotations?: Record<string, string>;
  }[]
) {
  return { ...webRequest(name, []), nics };
}

function seedOf(world: World, name = "web") {
  const { seeds } = world.fakeNodes[0]!.snapshot();
  return Object.entries(seeds).find(([path]) => path.includes(`/${name}/`))?.[1];
}

test("a nic that asks for nothing gets addresses of each family and names of its own", async () => {
  await using world = await newWorld();
  await networks(world);
  const vm = await world.virtualMachines.createVirtualMachine(
    request("web", { networkName: "one" }, { networkName: "one" }),
  );
  expect(vm.networkInterfaceNames).toEqual(["web0", "web1"]);
  expect(vm.nics[0]).toMatchObject({
    hardwareAddress: hardwareAddress("one/web0"),
    ipv4Address: "10.0.1.253",
    ipv6Address: "fd01::ffff:ffff:ffff:ffff",
    annotations: { "n0core/provisioning/virtual_machine/virtual_machine/reserved_by": "web" },
  });
  expect(vm.nics[1]).toMatchObject({
    ipv4Address: "10.0.1.252",
    ipv6Address: "fd01::ffff:ffff:ffff:fffe",
  });
  const { network } = world.fakeNodes[0]!.snapshot();
  expect(Object.keys(network.taps)).toEqual([deviceName("web0"), deviceName("web1")]);
  expect(network.networks["one"]).toMatchObject({ gateways: ["10.0.1.254/24", "fd01::1/64"] });
  const { reservedNetworkInterfaces } = await world.networks.getNetwork({ name: "one" });
  expect(Object.keys(reservedNetworkInterfaces).sort()).toEqual([
    "default-gateway",
    "web0",
    "web1",
  ]);
});

test("a nic that asks for nothing leaves another one what it asks for", async () => {
  await using world = await newWorld();
  await networks(world);
  const { nics } = await world.virtualMachines.createVirtualMachine(
    request("web", { networkName: "two" }, { networkName: "two", ipv4Address: "10.0.2.253" }),
  );
  expect(nics.map((nic) => nic.ipv4Address)).toEqual(["10.0.2.252", "10.0.2.253"]);
});

test("a nic without an address is brought up and no more, and another one carries the default route", async () => {
  await using world = await newWorld();
  await networks(world);
  const before = await world.residue();
  const { nics } = await world.virtualMachines.createVirtualMachine(
    request(
      "web",
      { networkName: "one", ipv4Address: "none", ipv6Address: "none" },
      { networkName: "one", ipv6Address: "none" },
      { networkName: "two" },
    ),
  );
  expect(nics.map((nic) => [nic.ipv4Address, nic.ipv6Address])).toEqual([
    ["", ""],
    ["10.0.1.253", ""],
    ["10.0.2.253", ""],
  ]);
  const seeds = seedOf(world)?.nics ?? [];
  expect(seeds.map((nic) => [nic.ipv4Address, nic.ipv4Gateway, nic.ipv6Gateway])).toEqual([
    [undefined, undefined, undefined],
    ["10.0.1.253/24", "10.0.1.254", undefined],
    ["10.0.2.253/24", undefined, undefined],
  ]);
  expect(seeds.map((nic) => nic.nameservers.length)).toEqual([0, 2, 0]);
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["zeros", "nics[1].hardware_address", "00:00:00:00:00:00"],
  ["the broadcast address", "nics[1].hardware_address", "FF:FF:FF:FF:FF:FF"],
  ["a multicast address", "nics[1].hardware_address", "01:00:5e:00:00:01"],
  ["that of another nic", "nics[1].hardware_address", "52:54:00:AA:00:01"],
] as const)("a nic with %s as its hardware address is refused", async ([, field, address]) => {
  await using world = await newWorld();
  await networks(world);
  const before = await world.residue();
  const twice = request(
    "web",
    { networkName: "one", hardwareAddress: "52:54:00:aa:00:01" },
    { networkName: "two", hardwareAddress: address },
  );
  expect(await refused(world.virtualMachines.createVirtualMachine(twice))).toMatchObject({
    code: "InvalidArgument",
    field,
  });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["nics[1].ipv4_address", { ipv4Address: "10.0.1.7" }],
  ["nics[1].ipv6_address", { ipv6Address: "FD01:0::7" }],
] as const)("two nics that ask for one address are refused by %s", async ([field, wish]) => {
  await using world = await newWorld();
  await networks(world);
  const first = { networkName: "one", ipv4Address: "10.0.1.7", ipv6Address: "fd01::7" };
  const twice = request("web", first, { networkName: "one", ...wish });
  expect(await refused(world.virtualMachines.createVirtualMachine(twice))).toMatchObject({
    code: "InvalidArgument",
    field,
  });
});

test("a hardware address that is chosen is no other nic's of the machine, on whatever network", async () => {
  await using world = await newWorld();
  await networks(world);
  const chosen = hardwareAddress("one/web0");
  const { nics } = await world.virtualMachines.createVirtualMachine(
    request("web", { networkName: "one" }, { networkName: "two", hardwareAddress: chosen }),
  );
  expect(nics[1]?.hardwareAddress).toBe(chosen);
  expect(nics[0]?.hardwareAddress).not.toBe(chosen);
  // Another machine may have it on a network where it is free.
  await world.virtualMachines.createVirtualMachine(
    request("other", { networkName: "one", hardwareAddress: chosen }),
  );
});

test.for([
  ["the first nic", undefined, 0],
  ["the nic that is annotated", "", 1],
] as const)("the default route goes through %s", async ([, annotation, carrier]) => {
  await using world = await newWorld();
  await networks(world);
  const annotations: Record<string, string> =
    annotation === undefined ? {} : { [GATEWAY]: annotation };
  await world.virtualMachines.createVirtualMachine(
    request("web", { networkName: "one" }, { networkName: "two", annotations }),
  );
  const nics = seedOf(world)?.nics ?? [];
  expect(nics.map((nic) => nic.ipv4Address)).toEqual(["10.0.1.253/24", "10.0.2.253/24"]);
  const gateways = [
    ["10.0.1.254", undefined],
    [undefined, "10.0.2.254"],
  ];
  expect(nics.map((nic) => nic.ipv4Gateway)).toEqual(gateways[carrier]);
  expect(nics.map((nic) => nic.nameservers.length)).toEqual(carrier === 0 ? [2, 0] : [0, 2]);
  expect(nics.map((nic) => nic.searchDomains)).toEqual([["one.example"], []]);
  // The network's own gateway is what it was, whatever the nic is annotated with.
  const { reservedNetworkInterfaces } = await world.networks.getNetwork({ name: "two" });
  expect(reservedNetworkInterfaces["default-gateway"]?.ipv4Address).toBe("10.0.2.254");
});

test("the seed names the guest as a host may be named", async () => {
  await using world = await newWorld();
  await networks(world);
  await world.virtualMachines.createVirtualMachine(request("Web_1.a.", { networkName: "two" }));
  expect(seedOf(world, "Web_1.a.")).toMatchObject({ hostname: "Web-1-a", loginUsername: "n0" });
});

test("interfaces of two virtual machines with one name are refused, and no one's is released", async () => {
  await using world = await newWorld();
  await networks(world);
  await world.virtualMachines.createVirtualMachine(request("vm1", { networkName: "one" }));
  const before = await world.residue();
  const eleven = Array.from({ length: 11 }, () => ({ networkName: "one" }));
  expect(
    await refused(world.virtualMachines.createVirtualMachine(request("vm", ...eleven))),
  ).toMatchObject({ code: "AlreadyExists", rollback: "done" });
  expect(await world.residue()).toEqual(before);
  // On another network the name is free, and the device is another one.
  const elsewhere = Array.from({ length: 11 }, () => ({ networkName: "two" }));
  await world.virtualMachines.createVirtualMachine(request("vm", ...elsewhere));
  expect(Object.keys(world.fakeNodes[0]!.snapshot().network.taps)).toHaveLength(12);
});

test("names whose devices have the same checksum get different devices", async () => {
  await using world = await newWorld();
  await networks(world);
  const [first, second] = collidingNames();
  await world.virtualMachines.createVirtualMachine(request(first, { networkName: "one" }));
  await world.virtualMachines.createVirtualMachine(request(second, { networkName: "one" }));
  const { taps } = world.fakeNodes[0]!.snapshot().network;
  expect(Object.values(taps).map(({ mark }) => mark.owner)).toEqual([
    `virtual_machine/${first}`,
    `virtual_machine/${second}`,
  ]);
});

/** Two names whose first nics have the same device name: the same head, and 16 bits of checksum. */
function collidingNames(): readonly [string, string] {
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    const name = `long-name-of-${i}-`;
    const device = deviceName(`${name}0`);
    const other = seen.get(device);
    if (other !== undefined) return [other, name];
    seen.set(device, name);
  }
}

test("50 virtual machines at once get 50 addresses, and give all of them back", async () => {
  await using world = await newWorld();
  await networks(world);
  const before = await world.residue();
  const names = Array.from({ length: 50 }, (_, i) => `vm-${i}`);
  const made = await Promise.all(
    names.map((name) =>
      world.virtualMachines.createVirtualMachine(request(name, { networkName: "one" })),
    ),
  );
  expect(new Set(made.map(({ nics }) => nics[0]?.ipv4Address)).size).toBe(50);
  await Promise.all(names.map((name) => world.virtualMachines.deleteVirtualMachine({ name })));
  expect(await world.residue()).toEqual(before);
});

test("a network that changes its labels while a virtual machine is made does not matter much", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const [made, applied] = await Promise.allSettled([
    world.virtualMachines.createVirtualMachine(webRequest()),
    world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24", labels: { a: "b" } }),
  ]);
  expect(applied.status).toBe("fulfilled");
  if (made.status === "rejected")
    expect((await refused(Promise.reject(made.reason))).code).toBe("Aborted");
});

test("a nic that asks for no address gets another one where somebody is faster to the first", async () => {
  await using world = await newWorld();
  await networks(world);
  const { datastore } = world.opened.api;
  const taken: string[] = [];
  // As another process does it: between the choice and the reservation.
  world.faults = async ({ point, step }) => {
    if (point !== "before_act" || step !== reserveInterface.name || taken.length === 2) return;
    const [live] = world.opened.api.engine.live.all();
    const { interface: asked } = live!.rows.at(-1)!.input as ReserveInterface;
    const address = taken.length === 0 ? asked.ipv4Address : asked.ipv6Address;
    taken.push(address);
    await datastore.batch(putNew(addresses, [networkRef("one"), address], { usedBy: "other" }));
  };
  const vm = await world.virtualMachines.createVirtualMachine(
    request("web", { networkName: "one" }),
  );
  const [nic] = vm.nics;
  expect(taken[0]).toBe("10.0.1.253");
  expect(taken[1]).toMatch(/^fd01::/);
  expect(taken).not.toContain(nic?.ipv4Address);
  expect(taken).not.toContain(nic?.ipv6Address);
  expect(nic?.ipv4Address).toMatch(/^10\.0\.1\.(1[2-9]\d|2[0-4]\d|25[0-2])$/);
  expect(nic?.ipv6Address).toMatch(/^fd01::[89a-f][\da-f]{3}:/);
  expect(seedOf(world)?.nics[0]?.ipv4Address).toBe(`${nic?.ipv4Address}/24`);
  expect(await world.virtualMachines.getVirtualMachine({ name: "web" })).toMatchObject({
    nics: [{ ipv4Address: nic?.ipv4Address, ipv6Address: nic?.ipv6Address }],
  });
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  const { reservedNetworkInterfaces } = await world.networks.getNetwork({ name: "one" });
  expect(Object.keys(reservedNetworkInterfaces)).toEqual(["default-gateway"]);
});

test("an address that is asked for and taken is refused, and none is chosen instead", async () => {
  await using world = await newWorld();
  await networks(world);
  const nic = { networkName: "one", ipv4Address: "10.0.1.7" };
  await world.virtualMachines.createVirtualMachine(request("web", nic));
  const before = await world.residue();
  const refusal = await refused(world.virtualMachines.createVirtualMachine(request("other", nic)));
  expect(refusal).toMatchObject({
    code: "AlreadyExists",
    message: expect.stringContaining('10.0.1.7 is taken by interface "web0"'),
  });
  expect(await world.residue()).toEqual(before);
});
