import { expect, test } from "vitest";
import { newFakeClock } from "../../../test/fake-clock.ts";
import { untilAborted } from "../../util/race.ts";
import { newFreeSpace } from "./free-space.ts";

const MIB = 1024n ** 2n;
const GIB = 1024n ** 3n;
const never = new AbortController().signal;

function setUp(sizeBytes: bigint, freeBytesMin?: bigint) {
  const clock = newFakeClock();
  const disk = { sizeBytes, freeBytes: sizeBytes };
  const space = newFreeSpace({ folder: "/x", clock, freeBytesMin, read: async () => disk });
  return { clock, disk, space };
}

test.each([
  ["a large disk", 100n * GIB, undefined, GIB],
  ["a small disk", 10n * GIB, undefined, GIB / 2n],
  ["a disk for which it is set", 100n * GIB, 5n * GIB, 5n * GIB],
])("%s keeps its share free", async (_, sizeBytes, freeBytesMin, keptBytes) => {
  const { disk, space } = setUp(sizeBytes, freeBytesMin);
  disk.freeBytes = keptBytes;
  await space.check();
  await expect(space.check(1n)).rejects.toMatchObject({ kind: "resource_exhausted" });
  disk.freeBytes = keptBytes - 1n;
  await expect(space.check()).rejects.toMatchObject({
    kind: "resource_exhausted",
    message: `the node's disk has no room: ${keptBytes - 1n} bytes are free, of which ${keptBytes} are kept so (storage-free-min); free space there or use another node`,
  });
  let ran = false;
  await expect(space.during(never, async () => void (ran = true))).rejects.toThrow("no room");
  expect(ran).toBe(false);
});

test("work that fills the disk is told to end", async () => {
  const { clock, disk, space } = setUp(100n * GIB);
  const filling = expect(space.during(never, untilAborted)).rejects.toMatchObject({
    kind: "resource_exhausted",
  });
  disk.freeBytes = GIB;
  await clock.advance(10_000);
  disk.freeBytes = GIB - MIB;
  await clock.advance(250);
  await filling;
  expect(clock.sleepers).toBe(0);
});

test("work that leaves room ends as it would, and nobody looks any more", async () => {
  const { clock, space } = setUp(100n * GIB);
  const caller = new AbortController();
  expect(await space.during(never, async () => "done")).toBe("done");
  const ended = expect(space.during(caller.signal, untilAborted)).rejects.toThrow("by the caller");
  await clock.advance(1_000);
  caller.abort(new Error("by the caller"));
  await ended;
  expect(clock.sleepers).toBe(0);
});

test("the real disk is asked", async () => {
  const clock = newFakeClock();
  await newFreeSpace({ folder: "/", clock, freeBytesMin: 0n }).check();
  const full = newFreeSpace({ folder: "/", clock, freeBytesMin: 2n ** 80n });
  await expect(full.check()).rejects.toMatchObject({ kind: "resource_exhausted" });
});
