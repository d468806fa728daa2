import { mkdtemp, rmdir, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { newFreeSpace } from "../../src/driver/volume/free-space.ts";
import { systemClock } from "../../src/util/clock.ts";
import { requirement } from "./requirements.ts";
import { MIB, mark, newVolumeWorld, noise, run, signal } from "./volume-world.ts";

const KEPT_BYTES = 32n * MIB;

/** A driver on a disk of 64 MiB, half of which is kept free. */
async function smallWorld() {
  const directory = await mkdtemp(join(tmpdir(), "n0-kept-"));
  await run("mount", "-t", "tmpfs", "-o", "size=64m", "n0-test", directory);
  onTestFinished(async () => {
    await run("umount", directory);
    await rmdir(directory);
  });
  const clock = systemClock;
  const freeSpace = newFreeSpace({ folder: directory, freeBytesMin: KEPT_BYTES, clock });
  const world = await newVolumeWorld({ directory, freeSpace });
  onTestFinished(() => world[Symbol.asyncDispose]());
  const freeBytes = async () => {
    const { bavail, bsize } = await statfs(directory, { bigint: true });
    return bavail * bsize;
  };
  return { ...world, freeBytes };
}

/** A MiB each 20 ms, for ever. */
async function* endless() {
  for (;;) {
    yield noise(2 ** 20);
    await systemClock.sleep(20);
  }
}

const full = { kind: "resource_exhausted", message: expect.stringContaining("storage-free-min") };

describe.runIf(requirement("root"))("what a disk keeps free", () => {
  test("ends a transfer before the disk is full, and nothing is left", async () => {
    const { driver, names, freeBytes } = await smallWorld();
    let leastFree = await freeBytes();
    const onProgress = async () => {
      const now = await freeBytes();
      if (now < leastFree) leastFree = now;
    };
    const work = { signal: signal(), onProgress: () => void onProgress() };
    const received = driver.ensureReceived("a", endless(), 1024n * MIB, mark, work);
    await expect(received).rejects.toMatchObject(full);
    expect(leastFree).toBeGreaterThan(0n);
    // What comes is looked at after each MiB, and the space left at moments of its own.
    expect(leastFree).toBeLessThan(KEPT_BYTES + 8n * MIB);
    expect(await names()).toEqual([]);
  });

  test("is kept from what is made and grown, but not from what is removed", async () => {
    const { driver, names } = await smallWorld();
    const chunks = async function* () {
      yield noise(10 * 2 ** 20);
    };
    await driver.ensureReceived("a", chunks(), 64n * MIB, mark, { signal: signal() });
    await driver.ensureEmpty("b", MIB, mark, signal());
    await driver.ensureOverlay("c", "a", 64n * MIB, mark, signal());
    await run("fallocate", "-l", `${25n * MIB}`, driver.path("ballast"));
    const before = (await names()).sort();

    const refusals = [
      () => driver.ensureEmpty("d", MIB, mark, signal()),
      () => driver.ensureOverlay("d", "a", 64n * MIB, mark, signal()),
      () => driver.ensureCopy("d", "a", 64n * MIB, mark, { signal: signal() }),
      () => driver.ensureReceived("d", chunks(), 64n * MIB, mark, { signal: signal() }),
      () => driver.ensureSize("b", 2n * MIB, signal()),
      () => driver.checkSize("b", 2n * MIB, signal()),
      () => driver.read("c", { offset: 0n }, signal()),
      () => driver.checkRoom(signal()),
    ];
    for (const refusal of refusals) await expect(refusal()).rejects.toMatchObject(full);
    expect((await names()).sort()).toEqual(before);

    // What is there already takes no room.
    await driver.ensureEmpty("b", MIB, mark, signal());
    await driver.ensureSize("b", MIB, signal());
    for (const id of ["c", "b", "a", "ballast"]) await driver.ensureAbsent(id, signal());
    expect(await names()).toEqual([]);
    await driver.ensureEmpty("d", MIB, mark, signal());
  });
});
