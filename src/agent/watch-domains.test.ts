import { expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { createFakeComputeDriver } from "../driver/compute/fake/fake-compute-driver.ts";
import type { DomainNews } from "./watch-domains.ts";
import { watchDomains } from "./watch-domains.ts";

const never = new AbortController().signal;
const mark = { owner: "virtual_machine/a", transactionId: "tx" };

async function newCompute(...names: string[]) {
  const compute = createFakeComputeDriver();
  for (const [n, name] of names.entries()) {
    const spec = { name, uuid: `u-${n}`, vcpus: 1, cpuMilliCores: 1, memoryBytes: 1024n };
    await compute.ensureStarted({ ...spec, disks: [], nics: [] }, mark, never);
    await compute.ensureResumed(name, never);
  }
  await new Promise(setImmediate);
  return compute;
}

async function take(watch: AsyncGenerator<DomainNews, void>, count: number) {
  const news: (DomainNews | void)[] = [];
  while (news.length < count) news.push((await watch.next()).value);
  return news;
}

test("tells every domain, then that this was all, then each change", async () => {
  const compute = await newCompute("a", "b");
  const watch = watchDomains(compute, never);
  expect(await take(watch, 3)).toEqual([
    { name: "a", state: "running" },
    { name: "b", state: "running" },
    "synced",
  ]);
  const next = take(watch, 2);
  compute.powerOff("b");
  await new Promise(setImmediate);
  compute.crash("a");
  expect(await next).toEqual([
    { name: "b", state: "shut_off" },
    { name: "a", state: "crashed" },
  ]);
  await watch.return();
});

test("loses no change that happens while the domains are being listed", async () => {
  const compute = await newCompute("a");
  const { list } = compute;
  const slow = {
    ...compute,
    async list(signal: AbortSignal) {
      const listed = await list(signal);
      compute.powerOff("a");
      await new Promise(setImmediate);
      return listed;
    },
  };
  const watch = watchDomains(slow, never);
  expect(await take(watch, 3)).toEqual([
    { name: "a", state: "running" },
    "synced",
    { name: "a", state: "shut_off" },
  ]);
  await watch.return();
});

test("a slow reader gets the newest state of each domain, and no memory grows meanwhile", async () => {
  const compute = await newCompute("a", "b");
  const watch = watchDomains(compute, never);
  await take(watch, 3);
  for (let n = 0; n < 100; n += 1) {
    await compute.ensurePaused("a", never);
    await compute.ensureResumed("a", never);
  }
  compute.powerOff("b");
  await compute.ensurePaused("a", never);
  await new Promise(setImmediate);
  expect(await take(watch, 2)).toEqual([
    { name: "b", state: "shut_off" },
    { name: "a", state: "paused" },
  ]);
  await watch.return();
});

test("ends when it is told to, also while it waits, and listens no more", async () => {
  const compute = await newCompute("a");
  let listeners = 0;
  const counted = {
    ...compute,
    onEvent(listener: Parameters<typeof compute.onEvent>[0]) {
      listeners += 1;
      const stop = compute.onEvent(listener);
      return () => {
        listeners -= 1;
        stop();
      };
    },
  };
  const stop = new AbortController();
  const all = collect(watchDomains(counted, stop.signal));
  await new Promise(setImmediate);
  expect(listeners).toBe(1);
  stop.abort();
  expect(await all).toEqual([{ name: "a", state: "running" }, "synced"]);
  expect(listeners).toBe(0);
});
