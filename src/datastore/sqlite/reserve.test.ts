import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openReserve } from "./reserve.ts";

const MIB = 1024 ** 2;

function setUp() {
  const folder = mkdtempSync(join(tmpdir(), "n0-reserve-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "reserve");
  const disk = { freeBytes: 100 * MIB };
  const open = (bytes = 3 * MIB) =>
    openReserve({ path, bytes, readFreeBytes: () => disk.freeBytes });
  /** What it takes on the disk, not only what it says. */
  const takenBytes = () => statSync(path).blocks * 512;
  return { disk, open, takenBytes };
}

test("it holds its room, gives it back a MiB at a time, and takes it again", () => {
  const { open, takenBytes } = setUp();
  using reserve = open();
  expect([reserve.isSpent, takenBytes()]).toEqual([false, 3 * MIB]);
  expect([reserve.give(), takenBytes(), reserve.isSpent]).toEqual([true, 2 * MIB, true]);
  expect([reserve.give(), reserve.give(), reserve.give()]).toEqual([true, true, false]);
  expect(takenBytes()).toBe(0);
  reserve.refill();
  expect([reserve.isSpent, takenBytes()]).toEqual([false, 3 * MIB]);
});

test("it takes room only where as much again is free", () => {
  const { disk, open, takenBytes } = setUp();
  disk.freeBytes = 6 * MIB - 1;
  using reserve = open();
  expect([reserve.isSpent, takenBytes()]).toEqual([true, 0]);
  disk.freeBytes = 6 * MIB;
  reserve.refill();
  expect(reserve.isSpent).toBe(false);
});

test("what it holds outlives the process, of which a later one may want less", () => {
  const { disk, open, takenBytes } = setUp();
  {
    using reserve = open();
    reserve.give();
  }
  disk.freeBytes = 0;
  {
    using reserve = open();
    expect([reserve.isSpent, takenBytes()]).toEqual([true, 2 * MIB]);
  }
  using reserve = open(MIB);
  expect([reserve.isSpent, takenBytes()]).toEqual([false, MIB]);
});
