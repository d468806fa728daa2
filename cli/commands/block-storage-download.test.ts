import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { create, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import {
  type BlockStorageChunk,
  BlockStorageChunkSchema,
  type ReadBlockStorageRequest,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { collect } from "../../test/collect.ts";
import { run } from "../program.ts";
import { openTestApi } from "../testing/test-api.ts";
import { newTestIo } from "../testing/test-io.ts";

/** The file of an empty disk has four clusters or more, and eight bytes for each 512 MiB: of these, five pieces and four. */
const LARGE = 1n << 42n;
const SMALL = 1n << 30n;
/** Where the second piece of a disk begins, as it is sent here. */
const PIECE = 60_000;

/** Is handed each message before it is sent, with the offset of its data; undefined ends the stream. */
type Alter = (
  chunk: BlockStorageChunk,
  offset: number,
) => BlockStorageChunk | undefined | Promise<BlockStorageChunk | undefined>;

let alter: Alter = (chunk) => chunk;

const api = await openTestApi();
const { blockStorages, fakeNodes } = api.world;
afterAll(() => api[Symbol.asyncDispose]());

/** The way to the API, on which a disk is cut into pieces that are altered, held up and lost. */
const transport: Transport = {
  unary: api.transport.unary,
  async stream(method, signal, timeoutMs, header, input) {
    const requests = await collect(input);
    const again = Readable.from(requests);
    const response = await api.transport.stream(method, signal, timeoutMs, header, again);
    const offset = Number((requests[0] as ReadBlockStorageRequest).offset);
    const chunks = response.message as AsyncIterable<Message> as AsyncIterable<BlockStorageChunk>;
    return { ...response, message: altered(chunks, offset) as AsyncIterable<never> };
  },
};

async function* altered(messages: AsyncIterable<BlockStorageChunk>, offset: number) {
  let at = offset;
  for await (const message of messages) {
    for (const piece of piecesOf(message)) {
      const sent = await alter(piece, at);
      if (sent === undefined) return;
      yield sent;
      at += piece.data.length;
    }
  }
}

function piecesOf(message: BlockStorageChunk): readonly BlockStorageChunk[] {
  const count = Math.max(1, Math.ceil(message.data.length / PIECE));
  return Array.from({ length: count }, (_, i) => ({
    ...message,
    data: message.data.subarray(i * PIECE, (i + 1) * PIECE),
  }));
}

let folder = "";
let path = "";
let part = "";
let note = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-download-"));
  path = join(folder, "data.qcow2");
  [part, note] = [`${path}.part`, `${path}.part.json`];
  api.reset();
  alter = (chunk) => chunk;
  await putDisk(LARGE);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Another disk of that name. */
async function putDisk(limitBytes: bigint): Promise<void> {
  const { blockStorages: there } = await blockStorages.listBlockStorages({});
  for (const { name } of there) {
    await blockStorages.deleteBlockStorage({ name });
    await blockStorages.purgeBlockStorage({ name });
  }
  await blockStorages.createBlockStorage({ name: "data", requestBytes: 1n << 30n, limitBytes });
}

/** What a guest does. */
async function writeToDisk(): Promise<void> {
  const { volumeId } = await blockStorages.getBlockStorage({ name: "data" });
  for (const { drivers } of fakeNodes) drivers.volume.write(volumeId);
}

async function diskBytes(): Promise<Buffer> {
  const chunks = await collect(blockStorages.readBlockStorage({ name: "data" }));
  return Buffer.concat(chunks.map(({ data }) => data));
}

async function download(...flags: string[]) {
  const t = newTestIo({ transport, homeFolder: folder });
  const exitCode = await run(["bs", "download", "data", ...flags], t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

const toFile = (...flags: string[]) => download("-f", path, ...flags);
const resume = () => toFile("--resume");
const isWhole = async () => (await readFile(path)).equals(await diskBytes());

/** Fails with `code` at the piece that begins at `offset`, so many times. Answers where readings began. */
function failAt(offset: number, code: Code, times = 1): number[] {
  const began: number[] = [];
  let left = times;
  alter = (chunk, at) => {
    if (chunk.validator !== "") began.push(at);
    else if (at === offset && left > 0) {
      left -= 1;
      throw new ConnectError("planned", code);
    }
    return chunk;
  };
  return began;
}

/** Leaves four pieces of the disk as they are now, as a download does that fails then. */
async function leavePart(): Promise<void> {
  failAt(4 * PIECE, Code.FailedPrecondition);
  const { exitCode, stderr } = await toFile();
  expect(exitCode).toBe(6);
  expect(stderr).toContain(`${part} holds the bytes so far: continue with --resume.`);
  expect((await readdir(folder)).sort()).toEqual(["data.qcow2.part", "data.qcow2.part.json"]);
}

test("a download becomes a file when it is whole, and leaves nothing else", async () => {
  expect(await toFile()).toMatchObject({ exitCode: 0, stderr: `${path} is written\n` });
  expect(await isWhole()).toBe(true);
  const again = await toFile();
  expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--force") });
  expect((await toFile("--force")).exitCode).toBe(0);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("a download goes on after a lost connection", async () => {
  const began = failAt(PIECE, Code.Unavailable, 2);
  const { exitCode, stderr } = await toFile();
  expect([exitCode, await isWhole()]).toEqual([0, true]);
  expect(stderr).toContain("---> Continuing at 58.5KiB: [Unavailable] planned\n");
  expect(began).toEqual([0, PIECE, PIECE]);
});

test("a download that ended early is not taken for whole", async () => {
  let left = 1;
  alter = (chunk, at) => {
    if (at !== PIECE || chunk.validator !== "" || left === 0) return chunk;
    left -= 1;
    return undefined;
  };
  const once = await toFile();
  expect([once.exitCode, await isWhole()]).toEqual([0, true]);
  expect(once.stderr).toContain("connection lost (the download ended early)");
  left = 1000;
  await rm(path);
  expect((await toFile()).exitCode).toBe(1);
  expect(await readdir(folder)).not.toContain("data.qcow2");
});

test("--resume asks for the rest alone", async () => {
  await leavePart();
  const began = failAt(-1, Code.Internal);
  expect(await resume()).toEqual({ exitCode: 0, stdout: "", stderr: `${path} is written\n` });
  expect([await isWhole(), began]).toEqual([true, [4 * PIECE]]);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("--resume of nothing is a download", async () => {
  expect(await resume()).toMatchObject({ exitCode: 0, stderr: `${path} is written\n` });
  expect(await isWhole()).toBe(true);
});

test("a failure before the first byte leaves what an earlier download left", async () => {
  await leavePart();
  api.before = () => {
    throw new ConnectError("no", Code.FailedPrecondition);
  };
  for (const flags of [["--resume"], []]) expect((await toFile(...flags)).exitCode).toBe(6);
  api.before = () => {};
  const began = failAt(-1, Code.Internal);
  expect((await resume()).exitCode).toBe(0);
  expect(began).toEqual([4 * PIECE]);
});

const ANOTHER = "has changed since";
test.each<[string, () => void | Promise<void>, string]>([
  ["another disk of that name that looks the same", () => putDisk(LARGE), ANOTHER],
  ["a disk that its guest wrote to", writeToDisk, ANOTHER],
  ["a disk that is shorter than the part", () => putDisk(SMALL), "is shorter than"],
  ["a part without a note", () => rm(note), "does not describe"],
  ["a note that was cut off", () => truncate(note, 20), "does not describe"],
  ["an empty note", () => truncate(note, 0), "does not describe"],
  ["a note that is something else", () => writeFile(note, "null"), "does not describe"],
  ["a part that was cut off", () => truncate(part, 1000), "is shorter than"],
  [
    "a part longer than the disk",
    () => truncate(part, 300_001),
    "is longer than the block storage was",
  ],
  [
    "a part that was replaced",
    async () => {
      await copyFile(part, `${part}.copy`);
      await rename(`${part}.copy`, part);
    },
    "is not the file that",
  ],
])("--resume starts anew, and says so, with %s", async (_, change, word) => {
  await leavePart();
  await change();
  const began = failAt(-1, Code.Internal);
  const { exitCode, stderr } = await resume();
  expect([exitCode, await isWhole()]).toEqual([0, true]);
  expect(stderr).toMatch(/^---> Starting over: /);
  expect(stderr).toContain(word);
  expect(began.at(-1)).toBe(0);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("--resume trusts no byte that was not said to be safe, as after a power cut", async () => {
  await leavePart();
  await writeFile(part, Buffer.alloc(10_000), { flag: "a" });
  const began = failAt(-1, Code.Internal);
  expect((await resume()).exitCode).toBe(0);
  expect([await isWhole(), began]).toEqual([true, [4 * PIECE]]);
});

test("a note without its part, and one that was being written, are in nobody's way", async () => {
  await leavePart();
  await rm(part);
  await writeFile(`${note}.new`, "{");
  expect(await resume()).toMatchObject({ exitCode: 0, stderr: `${path} is written\n` });
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("who dies while beginning anew leaves no note that a later part could be taken under", async () => {
  await leavePart();
  await rm(part);
  // Nothing can be made there, which ends it between the old note and the new part.
  await mkdir(join(part, "in-the-way"), { recursive: true });
  const failed = await toFile();
  expect(failed).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("cannot write") });
  expect(await readdir(folder)).toEqual(["data.qcow2.part"]);
});

test("a disk that changes while it is downloaded is downloaded anew, and never mixed", async () => {
  let changes = 1;
  alter = async (chunk, at) => {
    if (at !== 4 * PIECE || chunk.validator !== "" || changes === 0) return chunk;
    changes -= 1;
    await writeToDisk();
    throw new ConnectError('block storage "data" changed', Code.Aborted);
  };
  const once = await toFile();
  expect([once.exitCode, await isWhole()]).toEqual([0, true]);
  expect(once.stderr).toContain("---> Starting over: ");

  const before = await readFile(path);
  changes = 1000;
  expect((await toFile("--force")).exitCode).toBe(6);
  expect((await readFile(path)).equals(before)).toBe(true);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("of two downloads to one file the one that is overtaken fails, and mixes nothing", async () => {
  let others: unknown;
  alter = async (chunk, at) => {
    if (at !== 4 * PIECE || others !== undefined) return chunk;
    others = true;
    others = await toFile();
    return chunk;
  };
  const overtaken = await toFile();
  expect(others).toMatchObject({ exitCode: 0 });
  expect(overtaken).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("was replaced") });
  expect(await isWhole()).toBe(true);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("a server that does not say what it sends, or sends too much, is refused", async () => {
  alter = ({ data }) => create(BlockStorageChunkSchema, { data });
  const silent = await toFile();
  expect(silent).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("is older than") });
  alter = (chunk) => (chunk.validator === "" ? chunk : { ...chunk, totalBytes: 9n });
  const wrong = await toFile();
  expect(wrong).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("sends more bytes than"),
  });
  expect(await readdir(folder)).toEqual([]);
});

test("a download may go to standard output, whole or with an error, or be only a URL", async () => {
  expect((await download("-f", "-")).stdout).toBe((await diskBytes()).toString());
  alter = (chunk, at) => (at === PIECE ? undefined : chunk);
  expect((await download("-f", "-")).exitCode).toBe(1);
  failAt(PIECE, Code.Aborted);
  expect((await download("-f", "-")).exitCode).toBe(6);
  const { stdout } = await download("--url");
  expect(stdout).toBe("http://test/data\n");
});
