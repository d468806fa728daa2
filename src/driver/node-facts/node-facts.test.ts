import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { newNodeFacts } from "./node-facts.ts";

const folder = await mkdtemp(join(tmpdir(), "n0-facts-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

test("tells what this machine has, making the volume folder if need be", async () => {
  const facts = await newNodeFacts({ volumeFolder: join(folder, "a", "volumes") })();
  expect(facts.cpuMilliCores).toBe(cpus().length * 1000);
  expect(facts.memoryBytes).toBeGreaterThan(16n * 1024n ** 2n);
  expect(facts.storageBytes).toBeGreaterThan(1024n ** 2n);
  expect(facts.hostname).not.toBe("");
});

test.for([
  ["ABC-123 \n", "ABC-123"],
  ["", ""],
  ["rub\u0000bish", ""],
  ["x".repeat(300), ""],
] as const)("a serial of %j is %j", async ([content, serial]) => {
  const serialFile = join(folder, "serial");
  await writeFile(serialFile, content);
  expect((await newNodeFacts({ volumeFolder: folder, serialFile })()).serial).toBe(serial);
});

test("a serial that cannot be read is empty", async () => {
  const serialFile = join(folder, "nothing-here");
  expect((await newNodeFacts({ volumeFolder: folder, serialFile })()).serial).toBe("");
});
