import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";
import type { World } from "../../test/world.ts";
import { newWorld } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

const FOLDER = join(import.meta.dirname, "../../examples");
const IMAGE_URL = "file:///var/lib/n0core/images/tiny.qcow2";

/** The real API and agent, on a fake node on which the example's image lies. */
async function newExampleWorld(): Promise<World> {
  const world = await newWorld();
  for (const node of world.fakeNodes) {
    node.drivers.volume.sources.set(IMAGE_URL, blankQcow2(40n << 20n));
  }
  return world;
}

async function doExample(world: World, name: string): Promise<void> {
  const t = newTestIo({ transport: world.transport });
  const exitCode = await run(["do", join(FOLDER, `${name}.yaml`)], t.io);
  expect(`${exitCode}\n${t.stderr()}`).toMatch(/^0\n[^]*DAG tasks are completed\n$/);
}

/** Everything that there is, by its key; what the records hold differs from one making to the next. */
async function contents(world: World): Promise<string[]> {
  return Object.keys((await world.residue()).records).sort();
}

const CASES = [
  { make: "boot-vm", unmake: "delete-vm", again: "boot-vm-again", before: [] },
  {
    make: "recipes/register-image",
    unmake: "recipes/delete-image",
    again: "recipes/register-image-again",
    before: [],
  },
  {
    make: "recipes/boot-from-image",
    unmake: "recipes/delete-from-image",
    again: "recipes/boot-from-image-again",
    before: ["recipes/register-image"],
  },
  {
    make: "recipes/boot-from-iso",
    unmake: "recipes/delete-from-iso",
    again: "recipes/boot-from-iso-again",
    before: [],
  },
  {
    make: "user-data",
    unmake: "delete-user-data",
    again: "user-data-again",
    before: ["recipes/register-image"],
  },
  // Every action of it can be done again.
  {
    make: "security-groups",
    unmake: "delete-security-groups",
    again: "security-groups",
    before: [],
  },
] as const;

test.each(CASES)("$make makes what $unmake removes, whole", async ({ make, unmake, before }) => {
  await using world = await newExampleWorld();
  for (const name of before) await doExample(world, name);
  const atFirst = await world.residue();
  await doExample(world, make);
  expect((await contents(world)).length).toBeGreaterThan(Object.keys(atFirst.records).length);
  await doExample(world, unmake);
  const atLast = await world.residue();
  expect(Object.keys(atLast.records)).toEqual(Object.keys(atFirst.records));
  expect(atLast.locks).toBe(0);
});

test.each(CASES)("$again runs any number of times, and makes what $make makes", async (c) => {
  await using world = await newExampleWorld();
  await using once = await newExampleWorld();
  for (const name of c.before) {
    await doExample(world, name);
    await doExample(once, name);
  }
  await doExample(once, c.make);
  for (let i = 0; i < 3; i += 1) await doExample(world, c.again);
  const kinds = (keys: string[]) => keys.map((key) => key.split("/")[0]);
  expect(kinds(await contents(world))).toEqual(kinds(await contents(once)));
  await doExample(world, c.unmake);
});

test("every example is one of those that are run here", () => {
  const files = readdirSync(FOLDER, { recursive: true, encoding: "utf8" });
  const names = files.filter((f) => f.endsWith(".yaml")).map((f) => f.replace(/\.yaml$/, ""));
  const known = new Set(CASES.flatMap((c) => [c.make, c.unmake, c.again]));
  expect(names.sort()).toEqual([...known].sort());
});
