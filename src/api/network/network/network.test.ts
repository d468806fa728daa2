import { expect, test } from "vitest";
import { networkRef } from "../../../../test/refs.ts";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { findingsIn, handsOn, linesOf } from "../../../../test/verify-world.ts";
import { newWorld } from "../../../../test/world.ts";
import {
  type ListNetworksResponse,
  type Network,
  Network_NetworkState as State,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { networks } from "./collection.ts";

const LOCK_OFF = "n0core/pool/network/disable_deletion_lock";
const dual = { name: "net", ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "fd00::/64" };

test("a cloud without networks has an empty list of them", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  expect((await world.networks.listNetworks({})).networks).toEqual([]);
  expect(await refused(world.networks.getNetwork({ name: "net" }))).toMatchObject({
    code: "NotFound",
  });
  expect(await refused(world.networks.getNetwork({ name: "" }))).toMatchObject({
    code: "InvalidArgument",
    field: "name",
  });
});

test("a network is AVAILABLE, with its gateway reserved, and goes with it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  const made = await world.networks.applyNetwork({
    ...dual,
    domain: "example.internal",
    labels: { a: "b" },
    annotations: { "n0core/provisioning/virtual_machine/vlan_id": "100" },
  });
  expect(made).toMatchObject({
    ...dual,
    state: State.AVAILABLE,
    domain: "example.internal",
    labels: { a: "b" },
    annotations: { "n0core/provisioning/virtual_machine/vlan_id": "100" },
  });
  expect(Object.keys(made.reservedNetworkInterfaces)).toEqual(["default-gateway"]);
  expect(made.reservedNetworkInterfaces["default-gateway"]).toMatchObject({
    ipv4Address: "10.0.0.254",
    ipv6Address: "fd00::1",
    annotations: {
      "n0core/provisioning/virtual_machine/is_gateway": "true",
      [LOCK_OFF]: "true",
    },
  });
  expect(await world.networks.getNetwork({ name: "net" })).toEqual(made);
  await world.networks.deleteNetwork({ name: "net" });
  expect(await world.residue()).toEqual(before);
  expect(await refused(world.networks.deleteNetwork({ name: "net" }))).toMatchObject({
    code: "NotFound",
  });
});

test("applying again changes labels and domain, and keeps interfaces", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ ...dual, labels: { old: "1" } });
  await world.networks.reserveNetworkInterface({
    networkName: "net",
    networkInterfaceName: "i",
  });
  const again = await world.networks.applyNetwork({ ...dual, domain: "d.example" });
  expect(again).toMatchObject({ labels: {}, domain: "d.example" });
  expect(Object.keys(again.reservedNetworkInterfaces).sort()).toEqual(["default-gateway", "i"]);
});

test("a network whose addresses are in use cannot get other CIDRs", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork(dual);
  await world.networks.reserveNetworkInterface({
    networkName: "net",
    networkInterfaceName: "i",
    ipv4Address: "10.0.0.126",
    ipv6Address: "fd00::2",
  });
  const before = await world.residue();
  for (const [field, change] of [
    ["ipv4_cidr", { ipv4Cidr: "10.0.0.128/25" }],
    // Its last host, 10.0.0.126, is the gateway's then.
    ["ipv4_cidr", { ipv4Cidr: "10.0.0.0/25" }],
    ["ipv4_cidr", { ipv4Cidr: "" }],
    ["ipv6_cidr", { ipv6Cidr: "fd01::/64" }],
    ["ipv6_cidr", { ipv6Cidr: "" }],
  ] as const) {
    expect(await refused(world.networks.applyNetwork({ ...dual, ...change }))).toMatchObject({
      code: "FailedPrecondition",
      resource: "network/net",
      message: expect.stringMatching(new RegExp(`^${field}: .*"i".*release it first$`)),
    });
  }
  expect(await world.residue()).toEqual(before);
  const wider = { ...dual, ipv4Cidr: "10.0.0.0/16", ipv6Cidr: "fd00::/48" };
  const { reservedNetworkInterfaces: reserved } = await world.networks.applyNetwork(wider);
  expect(reserved["i"]).toMatchObject({ ipv4Address: "10.0.0.126", ipv6Address: "fd00::2" });
  expect(reserved["default-gateway"]).toMatchObject({ ipv4Address: "10.0.255.254" });
});

test("a family is added later, changed and taken away, and nothing is left of what was before", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const apply = (cidrs: object) => world.networks.applyNetwork({ name: "net", ...cidrs });
  const reserve = (networkInterfaceName: string) =>
    world.networks.reserveNetworkInterface({ networkName: "net", networkInterfaceName });
  await apply({ ipv4Cidr: "10.0.0.0/24" });
  await reserve("old");
  const both = await apply({ ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "fd00::/64" });
  expect(both.reservedNetworkInterfaces).toMatchObject({
    old: { ipv4Address: "10.0.0.253", ipv6Address: "" },
    "default-gateway": { ipv4Address: "10.0.0.254", ipv6Address: "fd00::1" },
  });
  expect(await world.networks.getNetwork({ name: "net" })).toEqual(both);
  expect((await reserve("new")).reservedNetworkInterfaces["new"]).toMatchObject({
    ipv4Address: "10.0.0.252",
    ipv6Address: "fd00::ffff:ffff:ffff:ffff",
  });
  for (const networkInterfaceName of ["old", "new"]) {
    await world.networks.releaseNetworkInterface({ networkName: "net", networkInterfaceName });
  }
  await apply({ ipv6Cidr: "fd01::/64" });
  const { records } = await world.residue();
  expect(Object.keys(records).filter((key) => key.startsWith("address/default/net/"))).toEqual([
    `address/default/net/${encodeURIComponent("fd01::1")}`,
  ]);
  await world.networks.deleteNetwork({ name: "net" });
});

test("a running network gets a family more, another CIDR of it and none, and its nodes with it", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const ipv4Cidr = "10.0.0.0/24";
  const apply = (cidrs: object) => world.networks.applyNetwork({ name: "net", ...cidrs });
  const gateways = () =>
    world.fakeNodes.map((node) => node.snapshot().network.networks["net"]?.gateways);
  const on = gateways().findIndex((there) => there !== undefined);
  const expected = (...there: string[]) =>
    gateways().map((_, i) => (i === on ? ["10.0.0.254/24", ...there] : undefined));
  for (const [cidrs, there] of [
    [{ ipv4Cidr, ipv6Cidr: "fd00::/64" }, ["fd00::1/64"]],
    [{ ipv4Cidr, ipv6Cidr: "fd01::/48" }, ["fd01::1/48"]],
    [{ ipv4Cidr }, []],
    [{ ipv4Cidr, ipv6Cidr: "fd00::/64" }, ["fd00::1/64"]],
  ] as const) {
    await apply(cidrs);
    expect(gateways()).toEqual(expected(...there));
    expect(linesOf(await findingsIn(world))).toEqual([]);
  }
  const other = await world.virtualMachines.createVirtualMachine({
    ...webRequest("new", []),
    nics: [{ networkName: "net" }],
  });
  expect(other.nics[0]?.ipv6Address).toBe("fd00::ffff:ffff:ffff:ffff");
  const before = await world.residue();
  for (const [field, cidrs, why] of [
    ["ipv6_cidr", { ipv4Cidr }, '"new" has fd00::ffff:ffff:ffff:ffff: delete it first'],
    ["ipv6_cidr", { ipv4Cidr, ipv6Cidr: "fd00::/48" }, '"new" has fd00::ffff'],
    ["ipv4_cidr", { ipv4Cidr: "10.0.0.0/16", ipv6Cidr: "fd00::/64" }, "has 10.0.0.25[23]: delete"],
  ] as const) {
    expect(await refused(apply(cidrs))).toMatchObject({
      code: "FailedPrecondition",
      field,
      message: expect.stringMatching(new RegExp(why)),
    });
  }
  expect(await world.residue()).toEqual(before);
});

test("a node that does not answer refuses other CIDRs", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const before = await world.residue();
  const apply = (ipv6Cidr: string) =>
    world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24", ipv6Cidr });
  world.fakeNodes[0]!.isDown = true;
  const asking = apply("fd00::/64");
  expect((await refused(asking)).code).toBe("Unavailable");
  world.fakeNodes[0]!.isDown = false;
  await world.opened.api.engine.settled();
  expect(await world.residue()).toEqual(before);
});

test("a guest that powered itself off keeps its taps, so its node gets the gateways; one shut down by its boot", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const gateways = () => world.fakeNodes[0]!.snapshot().network.networks["net"]?.gateways;
  const both = { name: "net", ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "fd00::/64" };
  world.fakeNodes[0]!.drivers.compute.powerOff("web");
  await world.networks.applyNetwork(both);
  expect(gateways()).toEqual(["10.0.0.254/24", "fd00::1/64"]);
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  expect(gateways()).toBeUndefined();
  await world.networks.applyNetwork({ ...both, ipv6Cidr: "fd01::/64" });
  expect(gateways()).toBeUndefined();
  const wider = { ...both, ipv4Cidr: "10.0.0.0/16" };
  expect(await refused(world.networks.applyNetwork(wider))).toMatchObject({
    code: "FailedPrecondition",
    field: "ipv4_cidr",
  });
  await world.virtualMachines.bootVirtualMachine({ name: "web" });
  const { seeds } = world.fakeNodes[0]!.snapshot();
  expect(gateways()).toEqual(["10.0.0.254/24", "fd01::1/64"]);
  expect(Object.values(seeds)[0]?.nics[0]).not.toHaveProperty("ipv6Gateway");
  // Somebody has removed it from the node by hand: there is nothing to change.
  const { network } = world.fakeNodes[0]!.drivers;
  await network.ensureNetworkAbsent("net", AbortSignal.timeout(5_000));
  await world.networks.applyNetwork(both);
  expect(gateways()).toBeUndefined();
});

test("of a change of CIDRs and virtual machines that come and go at once, none is left outside", async () => {
  await using world = await newWorld();
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const codes = new Set<string>();
  for (let round = 0; round < 8; round++) {
    const request = { ...webRequest("web", []), nics: [{ networkName: "net" }] };
    const calls = [
      world.virtualMachines.createVirtualMachine(request),
      world.networks.applyNetwork({ name: "net", ipv4Cidr: `10.${round + 1}.0.0/24` }),
      ...(round % 2 === 0 ? [] : [world.virtualMachines.deleteVirtualMachine({ name: "web" })]),
    ];
    const settled = await Promise.allSettled<unknown>(calls);
    const failed = calls.filter((_, i) => settled[i]?.status === "rejected");
    for (const { code } of await Promise.all(failed.map(refused))) codes.add(code);
    await world.opened.api.engine.settled();
    expect(linesOf(await findingsIn(world))).toEqual([]);
    const { ipv4Cidr } = await world.networks.getNetwork({ name: "net" });
    const { virtualMachines: left } = await world.virtualMachines.listVirtualMachines({});
    for (const { name, nics } of left) {
      expect(nics[0]?.ipv4Address.split(".")[1]).toBe(ipv4Cidr.split(".")[1]);
      await world.virtualMachines.deleteVirtualMachine({ name });
    }
  }
  for (const code of codes) expect(["Aborted", "FailedPrecondition", "NotFound"]).toContain(code);
});

test("a network whose record was lost is applied again with the same CIDRs, and with no others", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const before = await world.residue();
  await handsOn(world).drop(networks, networkRef("net"));
  const other = { name: "net", ipv4Cidr: "10.9.0.0/24" };
  expect(await refused(world.networks.applyNetwork(other))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining('interface "web0" has 10.0.0.253'),
  });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const { records } = await world.residue();
  expect(Object.keys(records)).toEqual(Object.keys(before.records));
  expect(linesOf(await findingsIn(world))).toEqual([]);
});

test("of a change of CIDRs and a reservation at once, no address is left outside", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  for (let round = 0; round < 10; round++) {
    const ipv4Cidr = `10.${round + 1}.0.0/24`;
    const networkInterfaceName = `i${round}`;
    const asked = { networkName: "net", networkInterfaceName };
    const [reserving, applying] = [
      world.networks.reserveNetworkInterface(asked),
      world.networks.applyNetwork({ name: "net", ipv4Cidr }),
    ];
    const settled = await Promise.allSettled([reserving, applying]);
    const failed = [reserving, applying].filter((_, i) => settled[i]?.status === "rejected");
    for (const { code } of await Promise.all(failed.map(refused))) {
      expect(["Aborted", "FailedPrecondition"]).toContain(code);
    }
    const network = await world.networks.getNetwork({ name: "net" });
    const [head] = /^10\.\d+\.0\./.exec(network.ipv4Cidr) ?? ["?"];
    for (const { ipv4Address } of Object.values(network.reservedNetworkInterfaces)) {
      expect(ipv4Address.startsWith(head)).toBe(true);
    }
    if (network.reservedNetworkInterfaces[networkInterfaceName] !== undefined) {
      await world.networks.releaseNetworkInterface(asked);
    }
  }
});

test("the same CIDR written in another way is the same", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork(dual);
  const again = { name: "net", ipv4Cidr: "10.0.0.77/24", ipv6Cidr: "FD00:0::9/64" };
  expect(await world.networks.applyNetwork(again)).toMatchObject(dual);
});

test.for([
  ["ipv4_cidr", { ipv4Cidr: "" }],
  ["ipv4_cidr", { ipv4Cidr: "10.0.0.0" }],
  ["ipv4_cidr", { ipv4Cidr: "10.0.0.0/33" }],
  ["ipv4_cidr", { ipv4Cidr: "10.0.0.256/24" }],
  ["ipv4_cidr", { ipv4Cidr: "10.0.0.0/31" }],
  ["ipv4_cidr", { ipv4Cidr: "10.0.0.0/32" }],
  ["ipv4_cidr", { ipv4Cidr: "fd00::/64" }],
  ["ipv4_cidr", { ipv4Cidr: "0.0.0.0/0" }],
  ["ipv4_cidr", { ipv4Cidr: "127.0.0.0/8" }],
  ["ipv4_cidr", { ipv4Cidr: "169.254.0.0/16" }],
  ["ipv4_cidr", { ipv4Cidr: "224.0.0.0/4" }],
  ["ipv4_cidr", { ipv4Cidr: "240.0.0.0/4" }],
  ["ipv6_cidr", { ipv6Cidr: "::/96" }],
  ["ipv6_cidr", { ipv6Cidr: "::ffff:10.0.0.0/120" }],
  ["ipv6_cidr", { ipv6Cidr: "fe80::/64" }],
  ["ipv6_cidr", { ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "ff02::/64" }],
  ["ipv6_cidr", { ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "10.0.0.0/24" }],
  ["ipv6_cidr", { ipv6Cidr: "fd00::/128" }],
  ["ipv6_cidr", { ipv4Cidr: "10.0.0.0/24", ipv6Cidr: "garbage" }],
  ["domain", { ipv4Cidr: "10.0.0.0/24", domain: "no domain" }],
] as const)("a wrong %s is refused: %j", async ([field, request]) => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  const refusal = await refused(world.networks.applyNetwork({ name: "net", ...request }));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
  expect(refusal.message).toContain(field);
  expect(await world.residue()).toEqual(before);
});

test("networks may have the same CIDRs, and each gives its addresses to its own interfaces", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  const both = ["net", "other"];
  await Promise.all(both.map((name) => world.networks.applyNetwork({ ...dual, name })));
  const networkInterfaceName = "web";
  const seen = await Promise.all(
    both.map((networkName) =>
      world.networks.reserveNetworkInterface({ networkName, networkInterfaceName }),
    ),
  );
  const addresses = seen.map(({ reservedNetworkInterfaces }) => {
    const { ipv4Address, ipv6Address } = reservedNetworkInterfaces[networkInterfaceName]!;
    return [ipv4Address, ipv6Address];
  });
  expect(addresses[0]).toEqual(addresses[1]);
  for (const networkName of both) {
    await world.networks.releaseNetworkInterface({ networkName, networkInterfaceName });
    await world.networks.deleteNetwork({ name: networkName });
  }
  expect(await world.residue()).toEqual(before);
});

test("a list shows each network with its own interfaces, as a get does", async () => {
  await using world = await newWorld();
  // Their interfaces lie in another order than they do: "-" and "." come before what ends a name.
  for (const [i, name] of ["a", "a-b", "a.b", "a0", "b"].entries()) {
    await world.networks.applyNetwork({ name, ipv4Cidr: `10.${i}.0.0/24` });
    if (name === "b") continue;
    await world.networks.reserveNetworkInterface({
      networkName: name,
      networkInterfaceName: `of-${name}`,
    });
  }
  const inPages: Network[] = [];
  for (let pageToken: string | undefined = ""; pageToken !== undefined; ) {
    const page: ListNetworksResponse = await world.networks.listNetworks({
      pageSize: 2,
      pageToken,
    });
    inPages.push(...page.networks);
    pageToken = page.nextPageToken === "" ? undefined : page.nextPageToken;
  }
  const { networks } = await world.networks.listNetworks({});
  expect(inPages).toEqual(networks);
  expect(networks).toHaveLength(5);
  for (const network of networks) {
    expect(network).toEqual(await world.networks.getNetwork({ name: network.name }));
  }
  const own = networks.map(({ reservedNetworkInterfaces }) =>
    Object.keys(reservedNetworkInterfaces),
  );
  expect(own.flat().filter((name) => name.startsWith("of-"))).toHaveLength(4);
});

test("a network with interfaces is locked for deletion, whatever a virtual machine's nic says", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.networks.reserveNetworkInterface({
    networkName: "net",
    networkInterfaceName: "by-hand",
  });
  const locked = await refused(world.networks.deleteNetwork({ name: "net" }));
  expect(locked).toMatchObject({ code: "FailedPrecondition", resource: "network/net" });
  expect(locked.message).toContain('"by-hand"');
  await world.networks.releaseNetworkInterface({
    networkName: "net",
    networkInterfaceName: "by-hand",
  });

  const nic = { networkName: "net", annotations: { [LOCK_OFF]: "true" } };
  await world.virtualMachines.createVirtualMachine({ ...webRequest(), nics: [nic] });
  expect(await refused(world.networks.deleteNetwork({ name: "net" }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining('"web0"'),
  });
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });

  await world.networks.reserveNetworkInterface({
    networkName: "net",
    networkInterfaceName: "unlocked",
    annotations: { [LOCK_OFF]: "" },
  });
  await world.networks.deleteNetwork({ name: "net" });
});

test("of a deletion and reservations at once, none is left without its network", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork(dual);
  const reserving = Array.from({ length: 20 }, (_, i) =>
    world.networks.reserveNetworkInterface({
      networkName: "net",
      networkInterfaceName: `i${i}`,
    }),
  );
  const deleting = world.networks.deleteNetwork({ name: "net" });
  const [deleted, ...reserved] = await Promise.allSettled([deleting, ...reserving]);
  const { records } = await world.residue();
  const left = Object.keys(records).filter((key) => /^(interface|address|hardware)/.test(key));
  if (deleted?.status === "fulfilled") expect(left).toEqual([]);
  else expect(reserved.some(({ status }) => status === "fulfilled")).toBe(true);
  const codes = await Promise.all(
    [deleting, ...reserving].map((call) =>
      call.then(
        () => "ok",
        async () => (await refused(call)).code,
      ),
    ),
  );
  expect(codes).not.toContain("Internal");
});
