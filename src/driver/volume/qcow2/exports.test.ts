import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../util/clock.ts";
import { systemRandom } from "../../../util/random.ts";
import { newExports } from "./exports.ts";
import { newLayout } from "./layout.ts";

const never = new AbortController().signal;

async function newWorld() {
  const folder = await mkdtemp(join(tmpdir(), "n0-exports-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const layout = newLayout(folder, systemRandom);
  await writeFile(layout.volume("a"), "volume");

  const runs: Array<{ finish: () => void; fail: (error: Error) => void; signal: AbortSignal }> = [];
  const started = { next: Promise.withResolvers<void>() };
  const exports = newExports({
    layout,
    clock: systemClock,
    idleMs: 60_000,
    async flatten(_, to, signal) {
      await writeFile(to, "flat");
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      runs.push({ finish: resolve, fail: reject, signal });
      started.next.resolve();
      started.next = Promise.withResolvers();
      await promise;
    },
  });
  const names = async () => (await readdir(folder)).filter((name) => name !== "a.qcow2");
  return { exports, runs, layout, names, nextRun: () => started.next.promise };
}

test("two readers share one, and one that leaves does not hurt the other", async () => {
  const { exports, runs, nextRun } = await newWorld();
  const running = nextRun();
  const abort = new AbortController();
  const leaving = exports.find("a", abort.signal);
  await running;
  const staying = exports.find("a", never);
  abort.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  let path = "";
  void staying.then((made) => {
    path = made.path;
  });
  // Whether the second reader had joined the first by then or not, it is served.
  await vi.waitUntil(() => {
    runs.at(-1)!.finish();
    return path !== "";
  });
  expect(path).toMatch(/\.export$/);
});

test("the last reader that leaves ends it, and nothing is left", async () => {
  const { exports, runs, names, nextRun } = await newWorld();
  const running = nextRun();
  const abort = new AbortController();
  const leaving = exports.find("a", abort.signal);
  await running;
  abort.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  expect(runs[0]!.signal.aborted).toBe(true);
  await exports.remove("a");
  expect(await names()).toEqual([]);
});

test("one that fails is tried again by the next reader", async () => {
  const { exports, runs, names, nextRun } = await newWorld();
  let running = nextRun();
  const failing = exports.find("a", never);
  await running;
  runs[0]!.fail(new Error("planned"));
  await expect(failing).rejects.toThrow("planned");
  expect(await names()).toEqual([]);

  running = nextRun();
  const again = exports.find("a", never);
  await running;
  runs[1]!.finish();
  await again;
  expect(await names()).toHaveLength(1);
});

test("one that was made stands for later readers, and is made again when it or the volume changed", async () => {
  const { exports, runs, layout, names, nextRun } = await newWorld();
  const read = async () => {
    const running = nextRun();
    const path = exports.find("a", never);
    await running;
    runs.at(-1)!.finish();
    return await path;
  };
  const first = await read();
  expect(await exports.find("a", never)).toEqual(first);
  expect(runs).toHaveLength(1);

  await rm(first.path);
  expect(await read()).toEqual(first);
  await utimes(layout.volume("a"), 1, 1);
  expect((await read()).path).not.toBe(first.path);
  expect(await names()).toHaveLength(1);
  await exports.remove("a");
  expect(await names()).toEqual([]);
});
