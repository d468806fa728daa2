import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { newFakeSeedDriver } from "./fake-seed-driver.ts";
import { newIsoSeedDriver } from "./iso-seed-driver.ts";
import { readIso } from "./iso9660.test-reader.ts";
import { exampleSeed, seedDriverSuite } from "./seed-driver.suite.ts";

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "n0-seed-"));
  folders.push(folder);
  return folder;
}
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

seedDriverSuite("the fake seed driver", async () => {
  const driver = newFakeSeedDriver();
  return {
    driver,
    folder: "/fake/vm",
    hostnameAt: async (path) => driver.seeds.get(path)?.hostname,
  };
});

seedDriverSuite("the ISO seed driver", async () => ({
  driver: newIsoSeedDriver(),
  folder: join(await newFolder(), "vm"),
  hostnameAt: async (path) => {
    const metaData = readIso(await readFile(path)).files.get("meta-data")!;
    return parse(Buffer.from(metaData).toString())["local-hostname"];
  },
}));

test("leaves one file, also where a write died in the middle before", async () => {
  const folder = await newFolder();
  await writeFile(join(folder, ".seed.iso.partial"), "half");
  await newIsoSeedDriver().ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
  expect(await readdir(folder)).toEqual(["seed.iso"]);
});

test("repairs a seed that was cut short, wherever, and does not read it before", async () => {
  const folder = await newFolder();
  const whole = await readFile(
    await newIsoSeedDriver().ensure(folder, exampleSeed, AbortSignal.timeout(10_000)),
  );
  for (const bytes of [0, 4, 33_000, 35_000, 20 * 2048, whole.length - 2048]) {
    await writeFile(join(folder, "seed.iso"), whole.subarray(0, bytes));
    expect(await newIsoSeedDriver().read(folder)).toBeUndefined();
  }
  const path = await newIsoSeedDriver().ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
  expect(readIso(await readFile(path)).label).toBe("cidata");
});

test("the fake fails where a test says so, and changes nothing", async () => {
  const driver = newFakeSeedDriver();
  driver.before = () => {
    throw new Error("planned");
  };
  await expect(driver.ensure("/fake/vm", exampleSeed, AbortSignal.timeout(10_000))).rejects.toThrow(
    "planned",
  );
  expect(driver.seeds.size).toBe(0);
});
