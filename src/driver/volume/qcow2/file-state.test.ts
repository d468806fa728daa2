import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Clock } from "../../../util/clock.ts";
import { systemRandom } from "../../../util/random.ts";
import { chainState, freshMs } from "./file-state.ts";
import { newLayout } from "./layout.ts";

const never = new AbortController().signal;

/** A volume "a" without a base, and a clock that is `aheadMs` ahead of its last change. */
async function newFile(aheadMs: number) {
  const folder = await mkdtemp(join(tmpdir(), "n0-state-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const layout = newLayout(folder, systemRandom);
  await writeFile(layout.volume("a"), "volume");
  const { ctimeNs } = await stat(layout.volume("a"), { bigint: true });
  let nowMs = Number(ctimeNs / 1_000_000n) + aheadMs;
  const slept: number[] = [];
  const world = { onSleep: async () => {} };
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    async sleep(ms) {
      slept.push(ms);
      nowMs += ms;
      await world.onSleep();
    },
  };
  return { layout, clock, slept, world, look: () => chainState(layout, "a", clock, never) };
}

test("a file that changed a moment ago is looked at again when its next change is sure to show", async () => {
  const { slept, look, world, layout } = await newFile(10);
  world.onSleep = async () => {
    world.onSleep = async () => {};
    await rm(layout.volume("a"));
    await writeFile(layout.volume("a"), "longer than before");
  };
  const { fileBytes } = await look();
  expect(slept[0]).toBe(40);
  expect(fileBytes).toBe(18n);
});

test("a file at rest is not waited for", async () => {
  const { slept, look } = await newFile(50);
  expect((await look()).fileBytes).toBe(6n);
  expect(slept).toEqual([]);
});

test("a file that never rests is refused, and not waited for without end", async () => {
  const { look, world, layout, clock } = await newFile(10);
  world.onSleep = async () => {
    await writeFile(layout.volume("a"), "again");
    const { ctimeNs } = await stat(layout.volume("a"), { bigint: true });
    Object.assign(clock, { nowMs: () => Number(ctimeNs / 1_000_000n) });
  };
  await expect(look()).rejects.toMatchObject({ kind: "aborted" });
});

test.each([
  ["a stamp of nanoseconds", 1_700_000_000_123_000_000n, 1_700_000_000_133, 40],
  ["one that is old", 1_700_000_000_123_000_000n, 1_700_000_000_173, 0],
  ["one a little ahead of the clock", 1_700_000_000_123_000_000n, 1_700_000_000_120, 53],
  ["one far ahead, of a clock that was set back", 1_700_000_000_123_000_000n, 1_600_000_000_000, 0],
  ["a stamp of whole seconds", 1_700_000_000_000_000_000n, 1_700_000_000_500, 1500],
] as const)("%s", (_, stampNs, nowMs, expected) => {
  expect(freshMs(stampNs, nowMs)).toBe(expected);
});
