import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { networkRef } from "../../../../test/refs.ts";
import { refused } from "../../../../test/refused.ts";
import { webRequest } from "../../../../test/scenario.ts";
import { usedMs } from "../../../../test/used-time.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import {
  InterfaceUse_Holder as Holder,
  type InterfaceUse,
  NetworkUseService,
} from "../../../gen/n0stack/network/v1alpha1/network_use_pb.ts";
import { interfaces } from "../interface/collection.ts";

const lan = { name: "lan", ipv4Cidr: "10.0.0.0/24" };

function useOf(world: World, request: object = {}) {
  const asked = { networkName: "lan", ...request };
  return world.client(NetworkUseService).getNetworkUse(asked);
}

async function createVm(world: World, name: string, nic: object = {}) {
  const nics = [{ networkName: "lan", ...nic }];
  return await world.virtualMachines.createVirtualMachine({ ...webRequest(name, []), nics });
}

async function reserve(world: World, networkInterfaceName: string, wish: object = {}) {
  const asked = { networkName: "lan", networkInterfaceName, ...wish };
  await world.networks.reserveNetworkInterface(asked);
}

test("the use of a network says who has each address, on which node, and how many are free", async () => {
  await using world = await newWorld();
  const both = { ...lan, ipv6Cidr: "fd00::/64" };
  await world.networks.applyNetwork({
    ...both,
    domain: "lan.example",
    reservedRanges: ["10.0.0.1-10.0.0.9", "10.0.0.250-10.0.0.255"],
  });
  await createVm(world, "web", { ipv4Address: "10.0.0.5" });
  await reserve(world, "by-hand", { ipv6Address: "none" });
  await createVm(world, "bare", { ipv4Address: "none", ipv6Address: "none" });

  const use = await useOf(world);
  expect(use.network).toMatchObject({ ...both, domain: "lan.example", project: "default" });
  expect(use.network?.reservedNetworkInterfaces).toEqual({});
  expect(use.nodeNames).toEqual(["node-1"]);
  expect(use.nextPageToken).toBe("");
  const on = { nodeName: "node-1", holder: Holder.OBJECT };
  expect(use.interfaces).toMatchObject([
    { ...on, name: "web0", nicIndex: 0, ipv4Address: "10.0.0.5", securityGroups: ["default"] },
    { holder: Holder.USER, name: "by-hand", ipv4Address: "10.0.0.249", ipv6Address: "" },
    { holder: Holder.GATEWAY, ipv4Address: "10.0.0.254", ipv6Address: "fd00::1" },
    { ...on, name: "bare0", object: "virtual_machine/bare", ipv4Address: "", ipv6Address: "" },
  ]);
  expect(use.addressCounts).toMatchObject([
    {
      cidr: "10.0.0.0/24",
      gatewayAddress: "10.0.0.254",
      used: "3",
      free: "251",
      // Of 14 host addresses in ranges, two are used.
      freeOutsideReservedRanges: "239",
    },
    {
      cidr: "fd00::/64",
      gatewayAddress: "fd00::1",
      used: "2",
      free: String(2n ** 64n - 3n),
      freeOutsideReservedRanges: String(2n ** 64n - 3n),
    },
  ]);
});

test("a nic is told by its number, also of a machine whose name ends in one", async () => {
  await using world = await newWorld();
  await world.networks.applyNetwork(lan);
  const nics = Array.from({ length: 3 }, () => ({ networkName: "lan" }));
  const vm1 = { ...webRequest("vm1", []), nics };
  await world.virtualMachines.createVirtualMachine(vm1);
  const { interfaces } = await useOf(world);
  const told = interfaces.filter(({ holder }) => holder === Holder.OBJECT);
  expect(told.map(({ object, nicIndex }) => `${object} ${nicIndex}`).sort()).toEqual([
    "virtual_machine/vm1 0",
    "virtual_machine/vm1 1",
    "virtual_machine/vm1 2",
  ]);
});

test("counts go down to nothing free, with all of the rest in ranges", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({
    name: "lan",
    ipv4Cidr: "10.0.0.0/29",
    reservedRanges: ["10.0.0.0/30"],
  });
  await reserve(world, "a");
  await reserve(world, "b");
  const [count] = (await useOf(world)).addressCounts;
  expect(count).toMatchObject({ used: "3", free: "3", freeOutsideReservedRanges: "0" });
  expect(await refused(reserve(world, "c"))).toMatchObject({ code: "ResourceExhausted" });
  for (const last of [1, 2, 3]) await reserve(world, `c${last}`, { ipv4Address: `10.0.0.${last}` });
  const [full] = (await useOf(world)).addressCounts;
  expect(full).toMatchObject({ used: "6", free: "0", freeOutsideReservedRanges: "0" });
});

test("each project sees its own interfaces, and the owner those of others without their names", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const acme = await inProject(world, "acme");
  const other = await inProject(world, "other");
  await world.networks.applyNetwork({ ...lan, annotations: { secret: "x" } });
  expect(await refused(useOf(acme, { networkName: "default/lan" }))).toEqual(
    await refused(acme.networks.getNetwork({ name: "default/lan" })),
  );
  await world.networks.setNetworkVisibility({
    name: "lan",
    visibility: Visibility.PROJECTS,
    visibleTo: ["acme", "other"],
  });
  await createVm(world, "web");
  await createVm(acme, "web", { networkName: "default/lan" });
  await createVm(other, "web", { networkName: "default/lan" });
  const addressesOf = (interfaces: readonly InterfaceUse[]) =>
    interfaces.map(({ holder, name, object, ipv4Address }) => [holder, name, object, ipv4Address]);
  const gateway = [Holder.GATEWAY, "default-gateway", "", "10.0.0.254"];
  const web = (address: string) => [Holder.OBJECT, "web0", "virtual_machine/web", address];
  const nobodys = (address: string) => [Holder.OTHER_PROJECT, "", "", address];

  const owner = await useOf(world);
  expect(addressesOf(owner.interfaces)).toEqual([
    nobodys("10.0.0.251"),
    nobodys("10.0.0.252"),
    web("10.0.0.253"),
    gateway,
  ]);
  for (const one of owner.interfaces) {
    if (one.holder === Holder.OTHER_PROJECT) expect(one.nodeName).toBe("");
  }
  expect(JSON.stringify(owner.interfaces)).not.toContain("acme");

  const seen = await useOf(acme, { networkName: "default/lan" });
  expect(addressesOf(seen.interfaces)).toEqual([web("10.0.0.252"), gateway]);
  expect(seen.network).toMatchObject({ project: "default", annotations: {}, visibleTo: [] });
  const { virtualMachines } = await acme.virtualMachines.listVirtualMachines({});
  expect(seen.nodeNames).toEqual([virtualMachines[0]?.computeNodeName]);
  // How many are free is true for everybody.
  expect(seen.addressCounts).toEqual(owner.addressCounts);
  expect(seen.addressCounts[0]).toMatchObject({ used: "4", free: "250" });
});

test("pages together are the whole, and no token tells a name of another project", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  await world.networks.applyNetwork(lan);
  await world.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PUBLIC });
  for (let i = 0; i < 4; i++) {
    await reserve(world, `i${i}`, i === 2 ? { ipv4Address: "none" } : {});
    await createVm(acme, `vm${i}`, { networkName: "default/lan" });
  }
  const whole = await useOf(world);
  const found: InterfaceUse[] = [];
  let pageToken = "";
  let pages = 0;
  do {
    const page = await useOf(world, { pageSize: 2, pageToken });
    expect(page.addressCounts).toEqual(whole.addressCounts);
    found.push(...page.interfaces);
    pageToken = page.nextPageToken;
    const told = Buffer.from(pageToken.slice(8), "base64url").toString();
    expect(told).not.toMatch(/acme|vm/);
    pages += 1;
  } while (pageToken !== "");
  expect(pages).toBe(5);
  expect(found).toEqual(whole.interfaces);
  expect(found).toHaveLength(9);

  await world.networks.applyNetwork({ name: "lan2", ipv4Cidr: "10.1.0.0/24" });
  const token = (await useOf(world, { pageSize: 1 })).nextPageToken;
  for (const wrong of [{ networkName: "lan2", pageToken: token }, { pageToken: "x" }]) {
    expect(await refused(useOf(world, wrong))).toMatchObject({
      code: "InvalidArgument",
      field: "page_token",
    });
  }
});

test("while a network changes, each answer is of one moment: the gateway is in the CIDR", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork(lan);
  let isDone = false;
  const changing = async () => {
    try {
      for (let i = 1; i < 30; i++) {
        await world.networks.applyNetwork({ name: "lan", ipv4Cidr: `10.${i}.0.0/24` });
      }
    } finally {
      isDone = true;
    }
  };
  const looking = async () => {
    while (!isDone) {
      const { network, addressCounts, interfaces } = await useOf(world);
      const [count] = addressCounts;
      expect(interfaces.map(({ ipv4Address }) => ipv4Address)).toEqual([count?.gatewayAddress]);
      expect(count?.cidr).toBe(network?.ipv4Cidr);
      await setImmediate();
    }
  };
  await Promise.all([changing(), looking()]);
});

test("4,000 interfaces are one answer, in the order of their addresses, and cost little", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const { datastore } = world.opened.api;
  await world.networks.applyNetwork({ ...lan, ipv4Cidr: "10.0.0.0/16", ipv6Cidr: "fd00::/64" });
  const writes = Array.from({ length: 4_000 }, (_, i) => {
    const name = `i${i}`;
    const ipv4Address = `10.0.${i >> 8}.${i & 255}`;
    const hex = i.toString(16).padStart(4, "0");
    const addresses = { ipv4Address, ipv6Address: `fd00::${(i + 2).toString(16)}` };
    const hardwareAddress = `52:54:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
    const ofNobody = {
      owner: null,
      transactionId: "t",
      annotations: {},
      nodeName: "",
      tapName: "",
    };
    const reserved = { ...ofNobody, name, hardwareAddress, ...addresses };
    return put(interfaces, [networkRef("lan"), name], reserved);
  });
  await datastore.batch(merge(...writes));
  await world.seen();
  await useOf(world);
  const beganMs = usedMs();
  const use = await useOf(world);
  expect(usedMs() - beganMs).toBeLessThan(2_000);
  expect(use.interfaces.map(({ name }) => name)).toEqual([
    ...Array.from({ length: 4_000 }, (_, i) => `i${i}`),
    "default-gateway",
  ]);
  expect(use.addressCounts.map(({ used }) => used)).toEqual(["4001", "4001"]);
});
