import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/util/clock.ts";
import { systemRandom } from "../../src/util/random.ts";
import { newTestIo } from "../testing/test-io.ts";
import { withLockFile } from "./lock-file.ts";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-lock-"));
  path = join(folder, "lock");
});
afterEach(() => rm(folder, { recursive: true }));

const outside = { clock: systemClock, random: systemRandom };

test("only one works at a time, and nothing is left", async () => {
  let running = 0;
  const work = async () => {
    running += 1;
    await new Promise(setImmediate);
    expect(running).toBe(1);
    running -= 1;
  };
  await Promise.all(Array.from({ length: 8 }, () => withLockFile(path, outside, work)));
  expect(await readdir(folder)).toEqual([]);
});

test("work that fails lets go", async () => {
  const failing = withLockFile(path, outside, async () => {
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect(await readdir(folder)).toEqual([]);
});

test("who holds it for more than 30 s loses it, and does not remove that of the next", async () => {
  const { io, sleptMs } = newTestIo();
  await writeFile(path, "of another computer");
  await withLockFile(path, io, async () => {
    expect(await readFile(path, "utf8")).not.toBe("of another computer");
    await writeFile(path, "of the next");
  });
  expect(sleptMs.reduce((sum, ms) => sum + ms)).toBeGreaterThanOrEqual(30_000);
  expect(await readFile(path, "utf8")).toBe("of the next");
});
