import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { QuotaService } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";

const PROJECT = "project/default";
const disk = (name: string, requestBytes = GiB) => ({
  name,
  requestBytes,
  limitBytes: 10n * GiB,
});

function quotasOf(world: World) {
  const quotas = world.client(QuotaService);
  return {
    ...quotas,
    set: (limits: { [amount: string]: bigint }) => quotas.setQuota({ limits }),
    setDomain: (limits: { [amount: string]: bigint }) =>
      quotas.setDomainQuota({ domain: "default", limits }),
    used: async (name = PROJECT) => (await quotas.getQuota({ name })).quota!.used,
  };
}

test("without a quota nothing is limited, and what is used is shown", async () => {
  await using world = await newWorld();
  const quotas = quotasOf(world);
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const { quota } = await quotas.getQuota({});
  expect(quota).toMatchObject({ name: PROJECT, limits: {} });
  const used = {
    cpu_milli_core: 100n,
    memory_bytes: GiB,
    disk_bytes: GiB,
    virtual_machines: 1n,
    block_storages: 1n,
    images: 0n,
    networks: 1n,
    security_groups: 0n,
    addresses: 1n,
  };
  expect(quota!.used).toEqual(used);
  expect(await quotas.used("domain/default")).toEqual(used);
  expect((await quotas.listQuotas({})).quotas).toEqual([]);
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  expect(await quotas.used()).toMatchObject({ virtual_machines: 0n, addresses: 0n, images: 0n });
});

test("limits are changed one by one, and removed", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const quotas = quotasOf(world);
  const before = await world.residue();
  await quotas.set({ images: 2n, disk_bytes: GiB });
  await quotas.setQuota({ limits: { images: 3n }, unlimited: ["disk_bytes", "networks"] });
  const { quotas: all } = await quotas.listQuotas({});
  expect(all.map(({ name, limits }) => [name, limits])).toEqual([[PROJECT, { images: 3n }]]);
  await quotas.deleteQuota({ name: PROJECT });
  expect(await refused(quotas.deleteQuota({ name: PROJECT }))).toMatchObject({ code: "NotFound" });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["limits", { limits: { cpus: 1n } }],
  ["unlimited[0]", { unlimited: ["cpus"] }],
  ["unlimited[0]", { limits: { images: 1n }, unlimited: ["images"] }],
] as const)("a wrong %s is refused", async ([field, request]) => {
  await using world = await newWorld({ nodeCount: 0 });
  const refusal = await refused(world.client(QuotaService).setQuota(request as object));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
});

test("a quota is of a project or a domain", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const quotas = world.client(QuotaService);
  for (const name of ["acme", "system", "project/a.b", "project/a/b", "project/", "user/a"]) {
    for (const call of [() => quotas.getQuota({ name }), () => quotas.deleteQuota({ name })]) {
      expect(await refused(call())).toMatchObject({ code: "InvalidArgument", field: "name" });
    }
  }
  const absent = { domain: "none", limits: { images: 1n } };
  expect(await refused(quotas.setDomainQuota(absent))).toMatchObject({ code: "NotFound" });
  const nowhere = { headers: { "n0-project": "none" } };
  for (const call of [
    () => quotas.getQuota({ name: "project/none" }),
    () => quotas.setQuota({ limits: { images: 1n } }, nowhere),
  ]) {
    expect(await refused(call())).toMatchObject({ code: "NotFound", resource: "project/none" });
  }
});

test("a refusal says which amount, how much is used, asked and allowed, and leaves nothing", async () => {
  await using world = await newWorld();
  const quotas = quotasOf(world);
  await prepareDisk(world);
  await world.blockStorages.createBlockStorage(disk("other"));
  await world.virtualMachines.createVirtualMachine(webRequest());
  await quotas.set({ memory_bytes: 3n * GiB, cpu_milli_core: 150n, virtual_machines: 2n });
  const before = await world.residue();
  const more = { ...webRequest("more", ["other"]), requestMemoryBytes: 3n * GiB };
  const refusal = await refused(
    world.virtualMachines.createVirtualMachine({ ...more, limitMemoryBytes: 3n * GiB }),
  );
  expect(refusal).toMatchObject({
    code: "ResourceExhausted",
    message:
      'project "default" has no quota left for cpu: 100m used, 100m asked, 150m allowed; memory: 1GiB used, 3GiB asked, 3GiB allowed',
    resource: "quota/project/default",
    retryAfterMs: undefined,
    rollback: "done",
  });
  expect(await world.residue()).toEqual(before);
});

test("the quota of the domain bounds its projects together", async () => {
  await using world = await newWorld();
  const quotas = quotasOf(world);
  await quotas.setDomain({ images: 1n });
  await quotas.set({ images: 1n, networks: 5n });
  await world.images.applyImage({ name: "one" });
  await world.images.applyImage({ name: "one", labels: { a: "b" } });
  const refusal = await refused(world.images.applyImage({ name: "two" }));
  expect(refusal.message).toBe(
    'project "default" has no quota left for images: 1 used, 1 asked, 1 allowed; domain "default" has no quota left for images: 1 used, 1 asked, 1 allowed',
  );
  await quotas.set({ images: 2n });
  expect((await refused(world.images.applyImage({ name: "two" }))).message).toMatch(/^domain "d/);
  await quotas.setDomain({ images: 2n });
  await world.images.applyImage({ name: "two" });
});

test("a quota below the use stops new things only", async () => {
  await using world = await newWorld();
  const quotas = quotasOf(world);
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  await quotas.set({
    virtual_machines: 0n,
    block_storages: 0n,
    disk_bytes: 0n,
    memory_bytes: 0n,
    cpu_milli_core: 0n,
    networks: 0n,
    addresses: 0n,
  });
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    labels: { a: "b" },
  });
  const { virtualMachines, blockStorages } = world;
  await virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  const smaller = { requestMemoryBytes: GiB / 2n, limitMemoryBytes: GiB / 2n };
  const updateMask = { paths: ["request_memory_bytes", "limit_memory_bytes"] };
  await virtualMachines.updateVirtualMachine({ name: "web", ...smaller, updateMask });
  const bigger = { requestMemoryBytes: GiB, limitMemoryBytes: GiB };
  const growth = virtualMachines.updateVirtualMachine({ name: "web", ...bigger, updateMask });
  expect((await refused(growth)).message).toContain(
    "memory: 512MiB used, 512MiB asked, 0B allowed",
  );
  await virtualMachines.bootVirtualMachine({ name: "web" });
  const grown = blockStorages.updateBlockStorage({ name: "root", requestBytes: 2n * GiB });
  expect((await refused(grown)).message).toContain("disk: 1GiB used, 1GiB asked, 0B allowed");
  await virtualMachines.deleteVirtualMachine({ name: "web" });
  await blockStorages.deleteBlockStorage({ name: "root" });
  await blockStorages.purgeBlockStorage({ name: "root" });
  await world.networks.deleteNetwork({ name: "net" });
  expect(Object.values(await quotas.used()).every((amount) => amount === 0n)).toBe(true);
});

test("a hundred creates at once never pass it by one, and the last one is granted", async () => {
  await using world = await newWorld();
  const quotas = quotasOf(world);
  await quotas.set({ block_storages: 10n, disk_bytes: (17n * GiB) / 2n });
  await quotas.setDomain({ block_storages: 1_000n });
  const made = await Promise.allSettled(
    Array.from({ length: 100 }, (_, i) => world.blockStorages.createBlockStorage(disk(`d${i}`))),
  );
  expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(8);
  expect(await quotas.used()).toMatchObject({ block_storages: 8n, disk_bytes: 8n * GiB });
  await world.blockStorages.createBlockStorage(disk("rest", GiB / 2n));
  expect(await quotas.used()).toMatchObject({ disk_bytes: (17n * GiB) / 2n });
});

test("a quota that is set in the midst of creates counts those before it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const quotas = quotasOf(world);
  const all = Array.from({ length: 60 }, (_, i) => world.images.applyImage({ name: `i${i}` }));
  const set = all[20]!.then(() => quotas.set({ images: 30n }));
  const made = await Promise.allSettled(all);
  await set;
  const count = BigInt(made.filter(({ status }) => status === "fulfilled").length);
  expect(await quotas.used()).toMatchObject({ images: count });
  const before = (await quotas.getQuota({})).quota!.used["images"]!;
  const more = await Promise.allSettled(
    Array.from({ length: 60 }, (_, i) => world.images.applyImage({ name: `more${i}` })),
  );
  const added = BigInt(more.filter(({ status }) => status === "fulfilled").length);
  expect(added).toBe(before >= 30n ? 0n : 30n - before);
});

test("a restart counts everything again", async () => {
  await using world = await newWorld();
  const quotas = quotasOf(world);
  await prepareDisk(world);
  await quotas.set({ block_storages: 2n });
  const used = await quotas.used();
  await world.restart();
  expect(await quotas.used()).toEqual(used);
  await world.blockStorages.createBlockStorage(disk("two"));
  expect(await refused(world.blockStorages.createBlockStorage(disk("three")))).toMatchObject({
    code: "ResourceExhausted",
  });
});

test("a block storage that is moved to another node counts once", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  const quotas = quotasOf(world);
  const made = await world.blockStorages.createBlockStorage(disk("root"));
  await quotas.set({ disk_bytes: GiB });
  const nodeName = made.nodeName === "node-1" ? "node-2" : "node-1";
  const moved = await world.blockStorages.updateBlockStorage({
    name: "root",
    annotations: { "n0core/provisioning/block_storage/request_node_name": nodeName },
    updateMask: { paths: ["annotations"] },
  });
  expect(moved.nodeName).toBe(nodeName);
  expect(await quotas.used()).toMatchObject({ disk_bytes: GiB });
});

test("a watch shows what is set", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const quotas = quotasOf(world);
  const stop = new AbortController();
  const seen: unknown[] = [];
  const watching = quotas.watchQuotas({}, { signal: stop.signal });
  for await (const { quota, synced } of watching) {
    if (synced) await quotas.set({ images: 1n });
    if (quota === undefined) continue;
    seen.push(quota.limits);
    break;
  }
  stop.abort();
  expect(seen).toEqual([{ images: 1n }]);
});
