/**
 * The limits of the requests keep each record below the size that the datastore takes, so that nothing is
 * refused half-way: here is the largest object of each kind, also after it has grown.
 */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { imageRef } from "../../test/refs.ts";
import { refused } from "../../test/refused.ts";
import { GiB, SSH_KEY, webRequest } from "../../test/scenario.ts";
import { newWorld, type World } from "../../test/world.ts";
import { put } from "../datastore/collection.ts";
import { RECORD_BYTES_MAX } from "../datastore/datastore.ts";
import { ImageSchema } from "../gen/n0stack/deployment/v0/image_pb.ts";
import { images } from "./deployment/image/collection.ts";

const TEXT_BYTES_MAX = 64 << 10;
const LONGEST_NAME = "x".repeat(63);
const size = { requestBytes: GiB, limitBytes: GiB };

/** Annotations that take nearly all the text that a request may hold, beside `otherBytes`. */
function annotationsBeside(otherBytes = 0): Record<string, string> {
  let left = TEXT_BYTES_MAX - otherBytes - 512;
  const texts: Record<string, string> = {};
  for (let i = 0; left > 0; i += 1) {
    const value = "v".repeat(Math.min(4000, Math.max(1, left - 8)));
    texts[`k${i}`] = value;
    left -= value.length + 8;
  }
  return texts;
}

/** The size of the largest record under each prefix but the journal's own. */
async function largest(world: World): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const { key, value } of await world.opened.api.datastore.list("")) {
    const kind = key.slice(0, key.indexOf("/"));
    sizes[kind] = Math.max(sizes[kind] ?? 0, value.length);
  }
  for (const kind of ["transaction", "transaction_step", "transaction_changes", "idempotency"])
    delete sizes[kind];
  return sizes;
}

async function expectSmallRecords(world: World, kind: string, atLeast: number): Promise<void> {
  const sizes = await largest(world);
  for (const bytes of Object.values(sizes)) expect(bytes).toBeLessThan(RECORD_BYTES_MAX);
  // What is filled is filled: else the limits say nothing about the record.
  expect(sizes[kind]).toBeGreaterThan(atLeast);
}

async function expectTextFull(call: Promise<unknown>): Promise<void> {
  expect((await refused(call)).message).toMatch(/^the texts of the request/);
}

test("a network, a node, and what is reserved by hand", async () => {
  await using world = await newWorld({ inMemory: true });
  const { networks, nodes } = world;
  const name = LONGEST_NAME;
  const annotations = annotationsBeside();
  const network = { name, ipv4Cidr: "10.0.0.0/8", ipv6Cidr: "fd00::/64" };
  await networks.applyNetwork({ ...network, annotations });
  await expectTextFull(
    networks.applyNetwork({ ...network, annotations, labels: { a: "x".repeat(600) } }),
  );
  const networkInterfaceName = "x".repeat(80);
  await networks.reserveNetworkInterface({ networkName: name, networkInterfaceName, annotations });
  const place = { serial: "s".repeat(255), rack: "r".repeat(255), cell: "c".repeat(255) };
  const node = { name, address: "node-1:20181", cpuMilliCores: 1000, ...place };
  const nodeAnnotations = annotationsBeside(1000);
  const amounts = { memoryBytes: GiB, storageBytes: 10n * GiB };
  await nodes.applyNode({ ...node, ...amounts, annotations: nodeAnnotations });
  const compute = { computeName: name, requestCpuMilliCore: 1, requestMemoryBytes: 1n };
  await nodes.reserveCompute({ nodeName: name, ...compute, annotations });
  await nodes.reserveStorage({ nodeName: name, storageName: name, ...size, annotations });
  for (const kind of ["network", "node", "interface", "compute", "storage"]) {
    await expectSmallRecords(world, kind, 60_000);
  }
});

test("a block storage that is fetched from a long URL, and then updated", async () => {
  await using world = await newWorld({ inMemory: true });
  const { blockStorages } = world;
  const name = LONGEST_NAME;
  // Each character becomes nine.
  const sourceUrl = `http://example.test/${"中".repeat(8100)}`;
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.sources.set(new URL(sourceUrl).href, new Uint8Array(4096));
  volume.sources.set(sourceUrl, new Uint8Array(4096));
  const annotations = annotationsBeside(3 * 8200);
  await blockStorages.fetchBlockStorage({ name, ...size, annotations, sourceUrl });
  await expectSmallRecords(world, "block_storage", 100_000);
  const { annotations: made } = await blockStorages.getBlockStorage({ name });
  const updateMask = { paths: ["labels"] };
  await blockStorages.updateBlockStorage({ name, labels: annotationsBeside(), updateMask });
  expect((await blockStorages.getBlockStorage({ name })).annotations).toEqual(made);
  await expectSmallRecords(world, "block_storage", 160_000);
});

test("a virtual machine with nics, keys and users, and then updated", async () => {
  await using world = await newWorld({ inMemory: true });
  const { networks, users, virtualMachines } = world;
  const networkName = LONGEST_NAME;
  await networks.applyNetwork({ name: networkName, ipv4Cidr: "10.0.0.0/8" });
  const userNames = Array.from({ length: 64 }, (_, i) => `${i}`.padStart(63, "u"));
  for (const user of userNames) await users.createUser({ name: user });
  const blockStorageNames = Array.from({ length: 24 }, (_, i) => `${i}`.padStart(63, "d"));
  for (const disk of blockStorageNames) {
    await world.blockStorages.createBlockStorage({ name: disk, ...size });
  }
  const nics = Array.from({ length: 16 }, () => ({ networkName }));
  const sshAuthorizedKeys = Array.from({ length: 3 }, () => `${SSH_KEY}${"c".repeat(16_000)}`);
  const request = { ...webRequest(LONGEST_NAME), nics, sshAuthorizedKeys, userNames };
  const annotations = annotationsBeside(3 * 16_100 + 64 * 66 + 24 * 66 + 16 * 66);
  await virtualMachines.createVirtualMachine({ ...request, blockStorageNames, annotations });
  await expectSmallRecords(world, "virtual_machine", 66_000);
  const { name } = request;
  await virtualMachines.shutdownVirtualMachine({ name, hard: true });
  for (const field of ["annotations", "labels"]) {
    const updateMask = { paths: [field] };
    await virtualMachines.updateVirtualMachine({ name, [field]: annotationsBeside(), updateMask });
  }
  await expectSmallRecords(world, "virtual_machine", 180_000);
  await virtualMachines.bootVirtualMachine({ name });
  await virtualMachines.deleteVirtualMachine({ name });
});

test("a user has 64 keys, of 64 KiB together", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const { users } = world;
  const user = { userName: LONGEST_NAME };
  await users.createUser({ name: LONGEST_NAME, annotations: annotationsBeside() });
  const sshPublicKey = `${SSH_KEY}${"c".repeat(16_100)}`;
  for (let i = 0; i < 4; i += 1) {
    await users.addSshPublicKey({ ...user, sshPublicKeyName: `k${i}`, sshPublicKey });
  }
  await expectSmallRecords(world, "user", 120_000);
  const before = await world.residue();
  const more = { ...user, sshPublicKeyName: "more", sshPublicKey: `${SSH_KEY}${"c".repeat(1000)}` };
  expect(await refused(users.addSshPublicKey(more))).toMatchObject({ code: "FailedPrecondition" });
  expect(await world.residue()).toEqual(before);
  for (let i = 0; i < 64; i += 1) {
    const sshPublicKeyName = `k${i}`;
    await users.addSshPublicKey({ ...user, sshPublicKeyName, sshPublicKey: SSH_KEY });
  }
  const refusal = await refused(users.addSshPublicKey({ ...more, sshPublicKey: SSH_KEY }));
  expect(refusal.message).toMatch(/would have 65 SSH public keys .*: delete one first$/);
});

test("an image has 512 disks and 512 tags", async () => {
  await using world = await newWorld({ inMemory: true });
  const { api } = world.opened;
  const name = LONGEST_NAME;
  const registered = Array.from({ length: 511 }, (_, i) => ({
    blockStorageName: `${i}`.padStart(63, "d"),
    registeredAt: { seconds: 1n << 31n, nanos: 999_999_999 },
  }));
  const tags = Object.fromEntries(
    registered.map(({ blockStorageName }, i) => [`${i}`.padStart(128, "t"), blockStorageName]),
  );
  const image = create(ImageSchema, { name, registeredBlockStorages: registered, tags });
  await api.datastore.batch(put(images, [imageRef(name)], image));
  await world.images.applyImage({ name, annotations: annotationsBeside() });
  for (const disk of ["last", "one-more"]) {
    await world.blockStorages.createBlockStorage({ name: disk, ...size });
  }
  const last = { imageName: name, blockStorageName: "last", tags: ["last"] };
  await world.images.registerBlockStorage(last);
  await expectSmallRecords(world, "image", 200_000);
  const before = await world.residue();
  const tag = { name, tag: "more", registeredBlockStorageName: "last" };
  expect((await refused(world.images.tagImage(tag))).message).toMatch(/would have 513 tags/);
  const more = { imageName: name, blockStorageName: "one-more" };
  expect((await refused(world.images.registerBlockStorage(more))).message).toMatch(
    /would have 513 registered block storages, and can have 512: unregister some first$/,
  );
  expect(await world.residue()).toEqual(before);
});
