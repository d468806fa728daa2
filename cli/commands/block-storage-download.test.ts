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
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlockStorageSchema } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { run } from "../program.ts";
import { newFakeApi } from "../testing/fake-api.ts";
import { newTestIo } from "../testing/test-io.ts";

const OLD = Buffer.alloc(300_000, "old disk. ");
const NEW = Buffer.alloc(250_000, "New Disk! ");
/** Where the second piece of a disk begins, as the fake sends it. */
const PIECE = 65_536;

let api = newFakeApi();
let folder = "";
let path = "";
let part = "";
let note = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-download-"));
  path = join(folder, "data.qcow2");
  [part, note] = [`${path}.part`, `${path}.part.json`];
  api = newFakeApi();
  putDisk("data.1", OLD);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function putDisk(volumeId: string, content: Uint8Array): void {
  api.disks.put(create(BlockStorageSchema, { name: "data", volumeId }));
  api.contents.set("data", content);
}

async function download(...flags: string[]) {
  const t = newTestIo({ transport: api.transport, homeFolder: folder });
  const exitCode = await run(["bs", "download", "data", ...flags], t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

const toFile = (...flags: string[]) => download("-f", path, ...flags);
const resume = () => toFile("--resume");
const isOf = async (disk: Buffer) => (await readFile(path)).equals(disk);

/** Fails with `code` at the piece that begins at `offset`, so many times. Answers where readings began. */
function failAt(offset: number, code: Code, times = 1): number[] {
  const began: number[] = [];
  let left = times;
  api.reads.alter = (chunk, at) => {
    if (chunk.validator !== undefined) began.push(at);
    else if (at === offset && left > 0) {
      left -= 1;
      throw new ConnectError("planned", code);
    }
    return chunk;
  };
  return began;
}

/** Leaves two pieces of the disk as they are now, as a download does that fails then. */
async function leavePart(): Promise<void> {
  failAt(2 * PIECE, Code.FailedPrecondition);
  const { exitCode, stderr } = await toFile();
  expect(exitCode).toBe(6);
  expect(stderr).toContain(`${part} holds what is done; go on with --resume.`);
  expect((await readdir(folder)).sort()).toEqual(["data.qcow2.part", "data.qcow2.part.json"]);
}

test("a download becomes a file when it is whole, and leaves nothing else", async () => {
  expect(await toFile()).toMatchObject({ exitCode: 0, stderr: `${path} is written\n` });
  expect(await isOf(OLD)).toBe(true);
  const again = await toFile();
  expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--force") });
  expect((await toFile("--force")).exitCode).toBe(0);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("a download goes on after a lost connection", async () => {
  const began = failAt(PIECE, Code.Unavailable, 2);
  const { exitCode, stderr } = await toFile();
  expect([exitCode, await isOf(OLD)]).toEqual([0, true]);
  expect(stderr).toContain("---> Going on at 64KiB: [Unavailable] planned\n");
  expect(began).toEqual([0, PIECE, PIECE]);
});

test("a download that ended early is not taken for whole", async () => {
  let left = 1;
  api.reads.alter = (chunk, at) => {
    if (at !== PIECE || chunk.data === undefined || left === 0) return chunk;
    left -= 1;
    return undefined;
  };
  const once = await toFile();
  expect([once.exitCode, await isOf(OLD)]).toEqual([0, true]);
  expect(once.stderr).toContain("connection lost (the disk ended early)");
  left = 1000;
  await rm(path);
  expect((await toFile()).exitCode).toBe(1);
  expect(await readdir(folder)).not.toContain("data.qcow2");
});

test("--resume asks for the rest alone", async () => {
  await leavePart();
  const began = failAt(-1, Code.Internal);
  expect(await resume()).toEqual({ exitCode: 0, stdout: "", stderr: `${path} is written\n` });
  expect([await isOf(OLD), began]).toEqual([true, [2 * PIECE]]);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("--resume of nothing is a download", async () => {
  expect(await resume()).toMatchObject({ exitCode: 0, stderr: `${path} is written\n` });
  expect(await isOf(OLD)).toBe(true);
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
  expect(began).toEqual([2 * PIECE]);
});

const ANOTHER = "is not what it was when";
test.each<[string, () => void | Promise<void>, Buffer, string]>([
  ["another disk of that name", () => putDisk("data.2", NEW), NEW, ANOTHER],
  ["another disk of that name that looks the same", () => putDisk("data.2", OLD), OLD, ANOTHER],
  ["a disk that its guest wrote to", () => putDisk("data.1", NEW), NEW, ANOTHER],
  [
    "a disk that is shorter than the part",
    () => putDisk("data.2", NEW.subarray(0, 100_000)),
    NEW.subarray(0, 100_000),
    "is shorter than",
  ],
  ["a part without a note", () => rm(note), OLD, "does not tell what"],
  ["a note that was cut off", () => truncate(note, 20), OLD, "does not tell what"],
  ["an empty note", () => truncate(note, 0), OLD, "does not tell what"],
  ["a note that is something else", () => writeFile(note, "null"), OLD, "does not tell what"],
  ["a part that was cut off", () => truncate(part, 1000), OLD, "was cut off"],
  [
    "a part longer than the disk",
    () => truncate(part, 300_001),
    OLD,
    "is longer than the disk was",
  ],
  [
    "a part that was replaced",
    async () => {
      await copyFile(part, `${part}.copy`);
      await rename(`${part}.copy`, part);
    },
    OLD,
    "is not the file that",
  ],
])("--resume starts anew, and says so, with %s", async (_, change, expected, word) => {
  await leavePart();
  await change();
  const began = failAt(-1, Code.Internal);
  const { exitCode, stderr } = await resume();
  expect([exitCode, await isOf(expected)]).toEqual([0, true]);
  expect(stderr).toMatch(/^---> Starting anew: /);
  expect(stderr).toContain(word);
  expect(began.at(-1)).toBe(0);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("--resume trusts no byte that was not said to be safe, as after a power cut", async () => {
  await leavePart();
  await writeFile(part, Buffer.alloc(100_000), { flag: "a" });
  const began = failAt(-1, Code.Internal);
  expect((await resume()).exitCode).toBe(0);
  expect([await isOf(OLD), began]).toEqual([true, [2 * PIECE]]);
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
  api.reads.alter = (chunk, at) => {
    if (at === 2 * PIECE && chunk.data !== undefined && changes > 0) {
      changes -= 1;
      putDisk("data.1", changes % 2 === 0 ? NEW : OLD);
    }
    return chunk;
  };
  const once = await toFile();
  expect([once.exitCode, await isOf(NEW)]).toEqual([0, true]);
  expect(once.stderr).toContain("---> Starting anew: ");

  changes = 1000;
  const always = await toFile("--force");
  expect([always.exitCode, await isOf(NEW)]).toEqual([6, true]);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("of two downloads to one file the one that is overtaken fails, and mixes nothing", async () => {
  let others: unknown;
  api.reads.alter = async (chunk, at) => {
    if (at !== 2 * PIECE || others !== undefined) return chunk;
    others = true;
    others = await toFile();
    return chunk;
  };
  const overtaken = await toFile();
  expect(others).toMatchObject({ exitCode: 0 });
  expect(overtaken).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("was replaced") });
  expect(await isOf(OLD)).toBe(true);
  expect(await readdir(folder)).toEqual(["data.qcow2"]);
});

test("a server that does not say what it sends, or sends too much, is refused", async () => {
  api.reads.alter = ({ data = new Uint8Array() }) => ({ data });
  const silent = await toFile();
  expect(silent).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("is older than") });
  api.reads.alter = (chunk) =>
    chunk.totalBytes === undefined ? chunk : { ...chunk, totalBytes: 9n };
  const wrong = await toFile();
  expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("sends more than") });
  expect(await readdir(folder)).toEqual([]);
});

test("a download may go to standard output, whole or with an error, or be only a URL", async () => {
  expect((await download("-f", "-")).stdout).toBe(OLD.toString());
  api.reads.alter = (chunk, at) => (at === PIECE ? undefined : chunk);
  expect((await download("-f", "-")).exitCode).toBe(1);
  failAt(PIECE, Code.Aborted);
  expect((await download("-f", "-")).exitCode).toBe(6);
  const { stdout } = await download("--url");
  expect(stdout).toBe("http://localhost:20180/download/data\n");
});
