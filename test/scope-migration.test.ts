import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { migrateToScopes } from "../src/api/scope-migration.ts";
import type { Writes } from "../src/datastore/datastore.ts";
import { sqliteDatastore } from "../src/datastore/sqlite/sqlite-datastore.ts";
import { ListImagesResponseSchema } from "../src/gen/n0stack/deployment/v0/image_pb.ts";
import { ListUsersResponseSchema } from "../src/gen/n0stack/iam/v0/user_pb.ts";
import { ListNetworksResponseSchema } from "../src/gen/n0stack/pool/v0/network_pb.ts";
import { ListBlockStoragesResponseSchema } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { ListVirtualMachinesResponseSchema } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { SimulatedCrash } from "../src/transaction/faults.ts";
import { until } from "../src/util/until.ts";
import { hurried, newWorld, type World } from "./world.ts";

// What a version wrote whose keys had no scopes, and what it answered: two nodes with all kinds of objects, two
// virtual machines `half` and `leaving` that were killed while they were made, a purge of `gone` that was killed
// after its pivot, and a disk `stuck` that needs an operator.
const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url));
const database = () => gunzipSync(fixture("unscoped.sqlite.gz"));
const before = JSON.parse(fixture("unscoped.json").toString());

type Listed = { readonly name: string };

function named<T extends Listed>(objects: readonly T[], names: readonly string[]): T[] {
  return objects.filter(({ name }) => names.includes(name));
}

async function listAll(world: World) {
  const lists = [
    toJson(ListNetworksResponseSchema, await world.networks.listNetworks({})),
    toJson(ListBlockStoragesResponseSchema, await world.blockStorages.listBlockStorages({})),
    toJson(ListVirtualMachinesResponseSchema, await world.virtualMachines.listVirtualMachines({})),
    toJson(ListImagesResponseSchema, await world.images.listImages({})),
    toJson(ListUsersResponseSchema, await world.users.listUsers({})),
  ];
  return Object.assign({}, ...lists);
}

/** Findings that need no node: its disks and domains are not there, as the nodes are new. */
async function findingsInRecords(world: World): Promise<string[]> {
  const { findings } = await world.verify.verify({});
  return findings
    .map(({ code }) => code)
    .filter((code) => !/\.without_(domain|volume)$/.test(code));
}

test("objects of before are as they were, and what was begun is brought to rest", async () => {
  await using world = await newWorld({ nodeCount: 2, clock: hurried, database: database() });
  expect(world.opened.recovered).toBe(4);
  await until(async () => world.opened.api.engine.live.all().length === 0);
  const after = await listAll(world);
  const inDefault = (objects: readonly Listed[]) =>
    objects.map((object) => ({ ...object, project: "default" }));
  expect(after.images).toEqual(inDefault(before.images.images));
  expect(after.users).toEqual(
    before.users.users.map((user: Listed) => ({ ...user, domain: "default" })),
  );
  const disks = ["base", "over-2"];
  expect(named(after.blockStorages, disks)).toEqual(
    inDefault(named(before.blockStorages.blockStorages, disks)),
  );
  expect(after.blockStorages).toMatchObject([
    { name: "base", state: "PROTECTED" },
    { name: "over-1", state: "AVAILABLE" },
    { name: "over-2", state: "IN_USE" },
    { name: "root", state: "AVAILABLE" },
  ]);
  expect(after.virtualMachines.map(({ name }: Listed) => name)).toEqual(["web"]);
  const spare = { ...inDefault(named(before.networks.networks, ["spare"]))[0] };
  // A version before had no segments.
  expect(named(after.networks, ["spare"])).toEqual([
    { ...spare, vni: expect.any(Number), mtu: 1450 },
  ]);
  const interfaces = after.networks[0].reservedNetworkInterfaces;
  expect(Object.keys(interfaces)).toEqual(["default-gateway", "web0"]);
  expect(await findingsInRecords(world)).toEqual([]);

  const { transactions } = await world.transactions.listTransactions({ pageSize: 0 });
  const known = transactions.map(({ id, rpc, resources }) => ({ id, rpc, resources }));
  expect(known).toEqual(expect.arrayContaining(before.transactions));
});

test("objects of before can be changed, and the migration is not done again", async () => {
  await using world = await newWorld({ nodeCount: 2, clock: hurried, database: database() });
  await world.restart();
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.blockStorages.deleteBlockStorage({ name: "over-2" });
  await world.blockStorages.purgeBlockStorage({ name: "over-2" });
  await world.users.deleteUser({ name: "ann" });
  await world.networks.deleteNetwork({ name: "net" });
  await world.networks.releaseNetworkInterface({
    networkName: "spare",
    networkInterfaceName: "by-hand",
  });
  await world.nodes.releaseCompute({ nodeName: "node-1", computeName: "by-hand" });
  await world.images.unregisterBlockStorage({ imageName: "debian", blockStorageName: "base" });
  await world.restart();
  expect(await findingsInRecords(world)).toEqual([]);
});

test("the migration is one batch: whole, or not at all", async () => {
  const folder = mkdtempSync(join(tmpdir(), "n0-migration-"));
  const path = join(folder, "n0core.sqlite");
  writeFileSync(path, database());
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true }));
  const datastore = stack.use(sqliteDatastore({ path }));
  const keys = async () => (await datastore.list("")).map(({ key }) => key);
  const unscoped = await keys();
  const killed = { ...datastore, batch: () => Promise.reject(new SimulatedCrash("injected")) };
  await expect(migrateToScopes(killed)).rejects.toThrow(SimulatedCrash);
  expect(await keys()).toEqual(unscoped);
  expect(unscoped).toEqual(expect.arrayContaining(["node/node-1", "virtual_machine/web"]));

  let batches = 0;
  const counting = {
    ...datastore,
    batch: (writes: Writes) => {
      batches += 1;
      return datastore.batch(writes);
    },
  };
  await migrateToScopes(counting);
  const scoped = await keys();
  expect(scoped).toEqual(
    expect.arrayContaining([
      "node//node-1",
      "virtual_machine/default/web",
      "interface/default/net/web0",
    ]),
  );
  const made = scoped.filter((key) => key.startsWith("reference/"));
  expect(made).toEqual([
    "reference/block_storage/default/base/image/default/debian",
    "reference/block_storage/default/over-1/virtual_machine/default/leaving",
    "reference/block_storage/default/over-2/virtual_machine/default/web",
    "reference/block_storage/default/root/virtual_machine/default/half",
    ...["half", "leaving", "web"].map(
      (name) => `reference/network/default/net/virtual_machine/default/${name}`,
    ),
    ...["half", "web"].map((name) => `reference/user/default/ann/virtual_machine/default/${name}`),
  ]);
  expect(scoped).toHaveLength(unscoped.length + made.length + 1);
  await migrateToScopes(counting);
  expect([batches, await keys()]).toEqual([1, scoped]);
});
