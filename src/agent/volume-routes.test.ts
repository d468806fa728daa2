import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { newFakeClock } from "../../test/fake-clock.ts";
import { newFakeNode, newFakeNodes } from "../../test/fake-node.ts";
import { blankQcow2 } from "../driver/volume/image/blank-qcow2.ts";
import type { Progress, VolumeDriver } from "../driver/volume/volume-driver.ts";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { fromConnectError } from "../rpc/errors.ts";
import type { N0Error } from "../util/errors.ts";
import { orAborted, untilAborted } from "../util/race.ts";
import { until } from "../util/until.ts";

const never = new AbortController().signal;
const mark = { owner: "block_storage/root", transactionId: "tx-1" };
const operation = (generation: bigint) => ({ ...mark, generation });
const sizeBytes = 1024n ** 2n;
const url = "https://images.example/tiny.qcow2";

function newNode(clock = newFakeClock()) {
  const node = newFakeNode({ clock });
  node.drivers.volume.sources.set(url, blankQcow2(sizeBytes));
  return { node, clock, volume: node.drivers.volume, client: clientOf(node) };
}

function clientOf(node: ReturnType<typeof newFakeNode>) {
  return createClient(VolumeAgentService, node.transport);
}

async function failure(call: Promise<unknown> | AsyncIterable<unknown>): Promise<N0Error> {
  try {
    await (call instanceof Promise ? call : collect(call));
  } catch (reason) {
    return fromConnectError(reason);
  }
  throw new Error("it did not fail");
}

test("makes, grows, lists and removes volumes under the operation's mark", async () => {
  const { node, client, volume } = newNode();
  const base = { id: "base", sizeBytes };
  const made = await client.ensureEmptyVolume({ operation: operation(1n), volume: base });
  expect(made.path).toBe(volume.path("base"));
  const overlay = { id: "over", sizeBytes: 2n * sizeBytes };
  await client.ensureOverlayVolume({ operation: operation(2n), volume: overlay, baseId: "base" });
  const grown = { id: "over", sizeBytes: 3n * sizeBytes };
  await client.ensureVolumeSize({ operation: operation(3n), volume: grown });
  const { volumes } = await client.listVolumes({});
  expect(volumes).toMatchObject([
    { id: "base", ...mark, path: volume.path("base"), virtualSizeBytes: sizeBytes, baseId: "" },
    { id: "over", ...mark, virtualSizeBytes: 3n * sizeBytes, baseId: "base" },
  ]);
  expect(
    (await failure(client.ensureVolumeAbsent({ operation: operation(4n), id: "base" }))).kind,
  ).toBe("failed_precondition");
  for (const id of ["over", "base"])
    await client.ensureVolumeAbsent({ operation: operation(5n), id });
  expect(node.snapshot().volumes).toEqual([]);
});

test("a fetch and a copy send their progress, then the path", async () => {
  const { client, volume } = newNode();
  const fetched = await collect(
    client.ensureFetchedVolume({
      operation: operation(1n),
      volume: { id: "image", sizeBytes },
      sourceUrl: url,
    }),
  );
  expect(fetched.at(-1)).toMatchObject({ path: volume.path("image") });
  expect(fetched.at(-1)?.progress).toBeUndefined();
  const copied = await collect(
    client.ensureCopiedVolume({
      operation: operation(1n),
      volume: { id: "copy", sizeBytes },
      sourceId: "image",
    }),
  );
  expect(copied.at(-1)).toMatchObject({ path: volume.path("copy") });
  expect((await client.listVolumes({})).volumes.map(({ id }) => id)).toEqual(["copy", "image"]);
});

/** Lets the test lead a fetch: what it reports, and when it ends. */
function leadFetch(volume: VolumeDriver) {
  const led = { report: (_progress: Progress) => {}, end: () => {}, signal: never };
  const { ensureFetched } = volume;
  volume.ensureFetched = async (id, source, size, owner, options) => {
    led.report = (progress) => options.onProgress?.(progress);
    led.signal = options.signal;
    const told = new Promise<void>((resolve) => {
      led.end = resolve;
    });
    await orAborted(told, options.signal);
    await ensureFetched(id, source, size, owner, options);
  };
  return led;
}

const fetchRequest = (generation: bigint) => ({
  operation: operation(generation),
  volume: { id: "image", sizeBytes },
  sourceUrl: url,
});

test("progress is sent at most every 500 ms, the latest", async () => {
  const { node, client, volume, clock } = newNode();
  const fetch = leadFetch(volume);
  const messages: (bigint | string)[] = [];
  const done = (async () => {
    for await (const { path, progress } of client.ensureFetchedVolume(fetchRequest(1n))) {
      messages.push(progress?.doneBytes ?? path);
    }
  })();
  await until(() => node.queue.busyKeys === 1 && fetch.signal !== never);
  for (let doneBytes = 0n; doneBytes <= 10n; doneBytes += 1n) {
    fetch.report({ doneBytes, totalBytes: 10n });
    await clock.advance(100);
  }
  expect(messages).toEqual([0n, 4n, 9n]);
  fetch.end();
  await done;
  expect(messages.at(-1)).toBe(volume.path("image"));
});

test("a client that hangs up does not stop a fetch", async () => {
  const { node, client, volume } = newNode();
  const fetch = leadFetch(volume);
  const hangUp = new AbortController();
  const call = failure(client.ensureFetchedVolume(fetchRequest(1n), { signal: hangUp.signal }));
  await until(() => fetch.signal !== never);
  hangUp.abort();
  await call;
  expect(fetch.signal.aborted).toBe(false);
  fetch.end();
  await node.queue.whenIdle();
  expect(node.snapshot().volumes.map(({ id }) => id)).toEqual(["image"]);
});

test("a long fetch is cut short by its own undo, which runs when it has ended", async () => {
  const { node, client, volume } = newNode();
  const fetch = leadFetch(volume);
  const call = failure(client.ensureFetchedVolume(fetchRequest(1n)));
  await until(() => fetch.signal !== never);
  await client.ensureVolumeAbsent({ operation: operation(2n), id: "image" });
  expect(await call).toMatchObject({ kind: "aborted", facts: { resource: "volume/image" } });
  expect((await failure(client.ensureFetchedVolume(fetchRequest(1n)))).kind).toBe("aborted");
  expect(node.snapshot().volumes).toEqual([]);
});

test("reads a volume in pieces of 256 KiB, its size and validator first, and of a range only that", async () => {
  const { client, volume } = newNode();
  const image = Buffer.from(Array.from({ length: 600_000 }, (_, n) => n % 251));
  volume.read = async (_id, { offset, length }) => ({
    totalBytes: BigInt(image.length),
    validator: "v1",
    bytes: (async function* () {
      const end = length === undefined ? image.length : Number(offset + length);
      for (let at = Number(offset); at < end; at += 1000)
        yield image.subarray(at, Math.min(at + 1000, end));
    })(),
  });
  const whole = await collect(client.readVolume({ id: "image" }));
  expect(whole.map((m) => [m.totalBytes, m.validator, m.data.length])).toEqual([
    [600_000n, "v1", 0],
    [0n, "", 262_144],
    [0n, "", 262_144],
    [0n, "", 75_712],
  ]);
  expect(Buffer.concat(whole.map(({ data }) => data)).equals(image)).toBe(true);
  const range = await collect(client.readVolume({ id: "image", offset: 10n, length: 20n }));
  expect(Buffer.concat(range.map(({ data }) => data)).equals(image.subarray(10, 30))).toBe(true);
  expect((await failure(client.readVolume({ id: "none/such" }))).kind).toBe("invalid_argument");
});

test("a reading ends with aborted once the volume changes, and begins at its end at most", async () => {
  const { client, volume } = newNode();
  await volume.ensureEmpty("a", 64n * sizeBytes, mark, never);
  const reading = client.readVolume({ id: "a" });
  const changing = async () => {
    for await (const { totalBytes } of reading) if (totalBytes > 0n) volume.write("a");
  };
  expect(await failure(changing())).toMatchObject({ kind: "aborted" });
  const beyond = client.readVolume({ id: "a", offset: 1n << 40n });
  expect(await failure(beyond)).toMatchObject({
    kind: "out_of_range",
    facts: { field: "offset" },
  });
});

const replicateRequest = (sourceAddress: string) => ({
  operation: operation(1n),
  volume: { id: "root-2", sizeBytes },
  sourceId: "root",
  sourceAddress,
});

test("replicates a volume from another node's agent", async () => {
  const [here, there] = newFakeNodes(2);
  await there!.drivers.volume.ensureEmpty("root", sizeBytes, mark, never);
  const messages = await collect(
    clientOf(here!).ensureReplicatedVolume(replicateRequest(there!.address)),
  );
  const total = BigInt(blankQcow2(sizeBytes).length);
  expect(messages[0]?.progress?.totalBytes).toBe(total);
  expect(messages.at(-1)?.path).toBe(here!.drivers.volume.path("root-2"));
  expect(here!.snapshot().volumes).toMatchObject([
    { id: "root-2", virtualSizeBytes: sizeBytes, mark },
  ]);
});

test("a replication says what is wrong with the other node, and leaves nothing", async () => {
  const [here, there] = newFakeNodes(2);
  const client = clientOf(here!);
  const replicate = (address: string) =>
    failure(client.ensureReplicatedVolume(replicateRequest(address)));

  const missing = await replicate(there!.address);
  expect(missing.kind).toBe("failed_precondition");
  expect(missing.message).toContain(`the agent at ${there!.address}: `);

  there!.isDown = true;
  expect(await replicate(there!.address)).toMatchObject({ kind: "unavailable" });
  expect(await replicate("nobody:1")).toMatchObject({ kind: "unavailable" });
  there!.isDown = false;

  there!.drivers.volume.read = async () => ({
    totalBytes: 1000n,
    validator: "v1",
    bytes: (async function* () {
      yield new Uint8Array(10);
    })(),
  });
  expect(await replicate(there!.address)).toMatchObject({
    kind: "unavailable",
    message: expect.stringContaining("stopped in the middle"),
  });
  expect(here!.snapshot().volumes).toEqual([]);
});

test("an undo ends a replication also at the node that is read", async () => {
  const [here, there] = newFakeNodes(2);
  let ended = false;
  there!.drivers.volume.read = async (_id, _range, signal) => ({
    totalBytes: 1000n,
    validator: "v1",
    bytes: (async function* () {
      yield new Uint8Array(10);
      await untilAborted(signal).finally(() => void (ended = true));
    })(),
  });
  const client = clientOf(here!);
  const call = failure(client.ensureReplicatedVolume(replicateRequest(there!.address)));
  await until(() => here!.queue.busyKeys === 1);
  await client.ensureVolumeAbsent({ operation: operation(2n), id: "root-2" });
  expect((await call).kind).toBe("aborted");
  await until(() => ended);
});
