import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BAD_SOURCE_URLS } from "../../../../test/bad-source-urls.ts";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import { GiB, MiB, REQUEST_NODE } from "../../../../test/scenario.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { blankQcow2 } from "../../../driver/volume/image/blank-qcow2.ts";
import {
  FetchBlockStorageRequestSchema,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { assertValid } from "../../../rpc/validate.ts";
import { SimulatedCrash } from "../../../transaction/faults.ts";
import { parseChecksum } from "../../../util/image-checksum.ts";
import { BLOCK_STORAGE_URL, COPY_FROM, FETCH_FROM } from "../../core/annotations.ts";

const size = { requestBytes: GiB, limitBytes: 2n * GiB };
const URL = "https://images.example/disk.qcow2";
const IMAGE = blankQcow2(64n * MiB);

function offer(world: World, url = URL, image: Uint8Array = IMAGE): void {
  for (const { drivers } of world.fakeNodes) drivers.volume.sources.set(url, image);
}

test("a disk is made AVAILABLE as large as its limit, and is listed", async () => {
  await using world = await newWorld();
  expect((await world.blockStorages.listBlockStorages({})).blockStorages).toEqual([]);
  const made = await world.blockStorages.createBlockStorage({
    name: "disk",
    ...size,
    labels: { a: "b" },
    annotations: { mine: "yes" },
  });
  expect(made).toMatchObject({
    name: "disk",
    ...size,
    state: State.AVAILABLE,
    nodeName: "node-1",
    storageName: "disk",
    transactionId: "",
    labels: { a: "b" },
  });
  expect(made.annotations).toMatchObject({
    mine: "yes",
    [BLOCK_STORAGE_URL]: `file:///${made.volumeId}.qcow2`,
  });
  const [volume] = world.fakeNodes[0]?.snapshot().volumes ?? [];
  expect(volume).toMatchObject({ id: made.volumeId, virtualSizeBytes: 2n * GiB });
  const { reservedStorages } = await world.nodes.getNode({ name: "node-1" });
  expect(reservedStorages["disk"]).toMatchObject({
    ...size,
    annotations: { "n0core/provisioning/block_storage/reserved_by": "disk" },
  });
  expect(await world.blockStorages.getBlockStorage({ name: "disk" })).toEqual(made);
  expect((await world.blockStorages.listBlockStorages({})).blockStorages).toEqual([made]);
});

test("a name is had once", async () => {
  await using world = await newWorld();
  await world.blockStorages.createBlockStorage({ name: "disk", ...size });
  const before = await world.residue();
  expect(
    await refused(world.blockStorages.createBlockStorage({ name: "disk", ...size })),
  ).toMatchObject({ code: "AlreadyExists", resource: "block_storage/disk" });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["name", { name: "" }],
  ["request_bytes", { requestBytes: 0n }],
  ["request_bytes", { requestBytes: 0n, limitBytes: 0n }],
  ["limit_bytes", { limitBytes: GiB - 1n }],
] as const)("a wrong %s is refused, and nothing is written: %o", async ([field, change]) => {
  await using world = await newWorld();
  const before = await world.residue();
  const refusal = await refused(
    world.blockStorages.createBlockStorage({ name: "disk", ...size, ...change }),
  );
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
  expect(await world.residue()).toEqual(before);
});

test("a limit that is not given is what is requested, however the disk is made", async () => {
  await using world = await newWorld();
  offer(world);
  const requestBytes = 2n * GiB;
  const { blockStorages, images } = world;
  const made = [
    await blockStorages.createBlockStorage({ name: "disk", requestBytes }),
    await blockStorages.fetchBlockStorage({ name: "fetched", requestBytes, sourceUrl: URL }),
    await blockStorages.copyBlockStorage({
      name: "copy",
      requestBytes,
      sourceBlockStorage: "disk",
    }),
  ];
  await images.applyImage({ name: "image" });
  await images.registerBlockStorage({
    imageName: "image",
    blockStorageName: "disk",
    tags: ["1"],
  });
  const generate = { imageName: "image", tag: "1", requestBytes };
  made.push(await images.generateBlockStorage({ ...generate, blockStorageName: "generated" }));
  for (const { limitBytes } of made) expect(limitBytes).toBe(requestBytes);
  const sizes = world.fakeNodes[0]!.snapshot().volumes.map((v) => v.virtualSizeBytes);
  expect(sizes).toEqual(made.map(() => requestBytes));
  const { reservedStorages } = await world.nodes.getNode({ name: "node-1" });
  expect(reservedStorages["copy"]).toMatchObject({ requestBytes, limitBytes: requestBytes });
  const small = { name: "small", requestBytes: GiB, sourceBlockStorage: "copy" };
  expect(await refused(blockStorages.copyBlockStorage(small))).toMatchObject({
    code: "InvalidArgument",
    field: "limit_bytes",
  });
});

test("a fetched disk says where it is from, and its progress while it is fetched", async () => {
  await using world = await newWorld();
  offer(world);
  const gate = newGate();
  world.fakeNodes[0]!.drivers.volume.after = async ({ method }) => {
    if (method === "ensureFetched") await gate.pass();
  };
  const fetching = world.blockStorages.fetchBlockStorage({ name: "disk", ...size, sourceUrl: URL });
  await gate.reached;
  const get = () => world.blockStorages.getBlockStorage({ name: "disk" });
  await expect
    .poll(get)
    .toMatchObject({ state: State.PENDING, progressTotalBytes: BigInt(IMAGE.length) });
  expect((await get()).transactionId).not.toBe("");
  expect((await world.blockStorages.listBlockStorages({})).blockStorages[0]).toMatchObject({
    progressDoneBytes: BigInt(IMAGE.length),
  });
  gate.open();
  const made = await fetching;
  expect(made).toMatchObject({ state: State.AVAILABLE, progressTotalBytes: 0n });
  expect(made.annotations[FETCH_FROM]).toBe(URL);
});

const SIGNED_URL = `${URL}?signature=s3cret`;

/** The keys of all that is written, and that has `text` in it. */
async function recordsWith(world: World, text: string): Promise<string[]> {
  const entries = await world.opened.api.datastore.list("");
  return entries.filter(({ value }) => Buffer.from(value).includes(text)).map(({ key }) => key);
}

test("the signature in a URL is written nowhere, while it is used and after", async () => {
  await using world = await newWorld();
  offer(world, SIGNED_URL);
  const seen: string[] = [];
  world.faults = async () => void seen.push(...(await recordsWith(world, "s3cret")));
  const keyed = withHeaders(world, { "idempotency-key": "1" });
  const fetch = (sourceUrl: string, name: string) =>
    keyed.blockStorages.fetchBlockStorage({ name, ...size, sourceUrl });
  const made = await fetch(SIGNED_URL, "disk");
  expect(made.annotations[FETCH_FROM]).toBe(URL);

  const failing = withHeaders(world, { "idempotency-key": "2" }).blockStorages.fetchBlockStorage({
    name: "other",
    ...size,
    sourceUrl: "https://nobody.example/?signature=s3cret",
  });
  expect((await refused(failing)).message).not.toContain("s3cret");
  expect([...seen, ...(await recordsWith(world, "s3cret"))]).toEqual([]);
  // The journal does say where the disk is from.
  expect(await recordsWith(world, URL)).toContainEqual(
    expect.stringContaining("transaction_step/"),
  );
});

test("a fetch whose process dies is undone without the URL's signature", async () => {
  await using world = await newWorld();
  offer(world, SIGNED_URL);
  const before = await world.residue();
  world.faults = ({ point, step }) => {
    if (point === "after_act" && step === "volume.ensure_fetched") throw new SimulatedCrash();
  };
  const dying = world.blockStorages.fetchBlockStorage({
    name: "disk",
    ...size,
    sourceUrl: SIGNED_URL,
  });
  await refused(dying);
  expect(world.fakeNodes[0]!.snapshot().volumes).toHaveLength(1);
  await world.restart();
  expect(await world.residue()).toEqual(before);
});

test.for(BAD_SOURCE_URLS)("the source %j is refused before anything is written", async ([url]) => {
  await using world = await newWorld({ inMemory: true });
  // Whatever is asked for would be there.
  for (const { drivers } of world.fakeNodes) drivers.volume.sources.set(url, IMAGE);
  const before = await world.opened.api.datastore.list("");
  const request = { name: "disk", ...size, sourceUrl: url };
  const refusal = await refused(world.blockStorages.fetchBlockStorage(request));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field: "source_url" });
  expect(refusal.message).not.toContain("s3cret");
  const keysOf = (entries: typeof before) =>
    entries.map(({ key }) => key).filter((key) => !key.startsWith("heartbeat/"));
  expect(keysOf(await world.opened.api.datastore.list(""))).toEqual(keysOf(before));
});

/** The rule of the proto and that of the nodes. */
test.for([
  [`sha256:${"a1".repeat(32)}`, true],
  [`sha256:${"A1".repeat(32)}`, true],
  [`sha512:${"b".repeat(128)}`, true],
  [`SHA256:${"a".repeat(64)}`, false],
  [`sha256:${"a".repeat(128)}`, false],
  [`sha512:${"a".repeat(64)}`, false],
  [`sha256:${"g".repeat(64)}`, false],
  [`sha256:${"a".repeat(64)}\n`, false],
  [` sha256:${"a".repeat(64)}`, false],
  ["md5:d41d8cd98f00b204e9800998ecf8427e", false],
] as const)("the API and a node agree on the checksum %j: %s", ([checksum, isGood]) => {
  const request = create(FetchBlockStorageRequestSchema, { name: "disk", checksum });
  const byApi = () => assertValid(FetchBlockStorageRequestSchema, request);
  const byNode = () => parseChecksum(checksum);
  for (const check of [byApi, byNode]) {
    if (isGood) expect(check).not.toThrow();
    else expect(check).toThrow(/checksum: must be sha256:<64 hex digits>/);
  }
});

test.for([
  ["checksum", "InvalidArgument", { checksum: "md5:00" }],
  ["request_bytes", "InvalidArgument", { requestBytes: 0n }],
] as const)("a fetch with a wrong %s is refused as %s: %o", async ([field, code, change]) => {
  await using world = await newWorld();
  const before = await world.residue();
  const request = { name: "disk", ...size, sourceUrl: URL, ...change };
  const refusal = await refused(world.blockStorages.fetchBlockStorage(request));
  expect(refusal).toMatchObject({ code, field });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["a checksum that differs", { checksum: `sha256:${"0".repeat(64)}` }, IMAGE],
  ["an image larger than the limit", { limitBytes: 1n * MiB, requestBytes: MiB }, IMAGE],
  ["a truncated qcow2", {}, IMAGE.subarray(0, 50)],
  ["no image file at the source", {}, undefined],
] as const)("%s: refused, and nothing is left", async ([, change, image]) => {
  await using world = await newWorld();
  if (image !== undefined) offer(world, URL, image);
  const before = await world.residue();
  const request = { name: "disk", ...size, sourceUrl: URL, ...change };
  const refusal = await refused(world.blockStorages.fetchBlockStorage(request));
  expect(refusal.code).toMatch(/^(FailedPrecondition|InvalidArgument|Unavailable)$/);
  expect(refusal.rollback).toBe("done");
  expect(await world.residue()).toEqual(before);
});

test("a checksum that matches is accepted", async () => {
  await using world = await newWorld();
  offer(world);
  const checksum = `sha256:${createHash("sha256").update(IMAGE).digest("hex")}`;
  const request = { name: "disk", ...size, sourceUrl: URL, checksum };
  expect(await world.blockStorages.fetchBlockStorage(request)).toMatchObject({
    state: State.AVAILABLE,
  });
});

test("a node that is full says so, and nothing is left", async () => {
  await using world = await newWorld();
  world.fakeNodes[0]!.drivers.volume.capacityBytes = GiB;
  const before = await world.residue();
  const refusal = await refused(world.blockStorages.createBlockStorage({ name: "disk", ...size }));
  expect(refusal.code).toBe("ResourceExhausted");
  expect(await world.residue()).toEqual(before);
});

test.for([["node-1"], ["node-2"]] as const)("a disk is copied to %s", async ([target]) => {
  await using world = await newWorld({ nodeCount: 2 });
  const annotations = { [REQUEST_NODE]: "node-1" };
  await world.blockStorages.createBlockStorage({ name: "source", ...size, annotations });
  const copy = await world.blockStorages.copyBlockStorage({
    name: "copy",
    ...size,
    sourceBlockStorage: "source",
    annotations: { [REQUEST_NODE]: target },
  });
  expect(copy).toMatchObject({ state: State.AVAILABLE, nodeName: target, baseVolumeId: "" });
  expect(copy.annotations[COPY_FROM]).toBe("source");
});

test.for([
  ["a source that does not exist", "NotFound", {}, undefined],
  ["a smaller limit", "InvalidArgument", { limitBytes: GiB }, "available"],
  ["a source in use", "FailedPrecondition", {}, "in use"],
  ["a deleted source", "FailedPrecondition", {}, "deleted"],
] as const)("no copy of %s: %s", async ([, code, change, source]) => {
  await using world = await newWorld();
  const name = "source";
  if (source !== undefined) await world.blockStorages.createBlockStorage({ name, ...size });
  if (source === "in use") await world.blockStorages.setInuseBlockStorage({ name });
  if (source === "deleted") await world.blockStorages.deleteBlockStorage({ name });
  const before = await world.residue();
  const request = { name: "copy", ...size, sourceBlockStorage: name, ...change };
  expect(await refused(world.blockStorages.copyBlockStorage(request))).toMatchObject({ code });
  expect(await world.residue()).toEqual(before);
});

test("a disk under the name of a soft-deleted one replaces it, or leaves it where it fails", async () => {
  await using world = await newWorld();
  const old = await world.blockStorages.createBlockStorage({ name: "disk", ...size });
  await world.blockStorages.deleteBlockStorage({ name: "disk" });

  const before = await world.residue();
  const failing = { name: "disk", ...size, sourceUrl: "https://nobody.example/" };
  await refused(world.blockStorages.fetchBlockStorage(failing));
  expect(await world.residue()).toEqual(before);
  expect(await world.blockStorages.getBlockStorage({ name: "disk" })).toMatchObject({
    state: State.DELETED,
    volumeId: old.volumeId,
  });

  const made = await world.blockStorages.createBlockStorage({ name: "disk", ...size });
  expect(made.volumeId).not.toBe(old.volumeId);
  const ids = world.fakeNodes[0]?.snapshot().volumes.map(({ id }) => id);
  expect(ids).toEqual([made.volumeId]);
  const { reservedStorages } = await world.nodes.getNode({ name: "node-1" });
  expect(Object.keys(reservedStorages)).toEqual(["disk"]);
});

test("a reading says what it is of, and ends where the disk changes or an offset lies past it", async () => {
  await using world = await newWorld();
  const { volumeId } = await world.blockStorages.createBlockStorage({ name: "disk", ...size });
  const { volume } = world.fakeNodes[0]!.drivers;
  const about = async (offset = 0n) => {
    const messages = world.blockStorages.readBlockStorage({ name: "disk", offset, length: 1n });
    for await (const { totalBytes, validator } of messages) return { totalBytes, validator };
    throw new Error("it says nothing");
  };
  const first = await about();
  const whole = blankQcow2(2n * GiB);
  expect(first).toMatchObject({ totalBytes: BigInt(whole.length) });
  expect(await about(first.totalBytes)).toEqual(first);
  expect(await refused(about(first.totalBytes + 1n))).toMatchObject({
    code: "OutOfRange",
    message: expect.stringContaining("offset: is "),
  });
  volume.write(volumeId);
  expect((await about()).validator).not.toBe(first.validator);
  const changing = async () => {
    const messages = world.blockStorages.readBlockStorage({ name: "disk" });
    for await (const { totalBytes } of messages) if (totalBytes > 0n) volume.write(volumeId);
  };
  expect(await refused(changing())).toMatchObject({ code: "Aborted" });
});

test("what is read is the disk, from an offset if one is given, and not while a guest may write", async () => {
  await using world = await newWorld();
  await world.blockStorages.createBlockStorage({ name: "disk", ...size });
  const read = async (range = {}) => {
    const chunks: Uint8Array[] = [];
    const stream = world.blockStorages.readBlockStorage({ name: "disk", ...range });
    for await (const { data } of stream) chunks.push(data);
    return Buffer.concat(chunks);
  };
  const whole = Buffer.from(blankQcow2(2n * GiB));
  expect(await read()).toEqual(whole);
  expect(await read({ offset: 3n, length: 5n })).toEqual(whole.subarray(3, 8));
  const { downloadUrl } = await world.blockStorages.downloadBlockStorage({ name: "disk" });
  expect(downloadUrl).toContain("disk");
  await world.virtualMachines.createVirtualMachine({
    name: "vm",
    requestCpuMilliCore: 100,
    limitCpuMilliCore: 1000,
    requestMemoryBytes: GiB,
    limitMemoryBytes: GiB,
    blockStorageNames: ["disk"],
  });
  expect(await refused(read())).toMatchObject({ code: "FailedPrecondition" });
  await world.virtualMachines.shutdownVirtualMachine({ name: "vm", hard: true });
  expect(await read()).toEqual(whole);
});
