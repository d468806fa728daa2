import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { newToyWorld } from "../../test/toy-saga.ts";
import { memoryDatastore } from "../datastore/memory/memory-datastore.ts";
import { sqliteDatastore } from "../datastore/sqlite/sqlite-datastore.ts";
import { FAULT_POINTS, type FaultPoint, killAt, SimulatedCrash } from "./faults.ts";

const datastores = {
  memory: () => {
    const datastore = memoryDatastore();
    return () => datastore;
  },
  SQLite: () => {
    const folder = mkdtempSync(join(tmpdir(), "n0-faults-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return () => sqliteDatastore({ path: join(folder, "n0core.sqlite") });
  },
};

const UNWIND_POINTS: readonly FaultPoint[] = ["before_unwind", "before_undo", "after_undo"];
const FORWARD_POINTS: readonly FaultPoint[] = [
  "after_commit",
  "before_retriable",
  "after_retriable",
  "before_rest",
];

/** Makes `reason` once at the point, having led the transaction there. */
function faultAt(point: FaultPoint, reason: Error) {
  let isMade = false;
  let isLed = !UNWIND_POINTS.includes(point);
  return (place: { readonly point: FaultPoint }) => {
    if (!isLed && place.point === "before_commit") {
      isLed = true;
      throw new Error("something to unwind for");
    }
    if (isMade || place.point !== point) return;
    isMade = true;
    throw reason;
  };
}

for (const [name, newOpen] of Object.entries(datastores)) {
  describe(`on ${name}`, () => {
    test.for(FAULT_POINTS)("what fails at %s is whole or not at all, by itself", async (point) => {
      await using world = await newToyWorld({ open: newOpen() });
      const before = await world.residue();
      world.faults = faultAt(point, new Error("injected"));
      const result = await world.create("mine").catch((reason: unknown) => reason);
      await world.engine.settled();
      const isForward = FORWARD_POINTS.includes(point);
      if (isForward) expect(world.node.announced).toContain("mine");
      else expect(await world.residue()).toEqual(before);
      expect(await world.journal().listOpen()).toEqual([]);
      expect(await world.locks.list()).toHaveLength(0);
      expect(world.engine.openCount).toBe(0);
      if (isForward && point !== "after_commit") expect(result).toBe("mine");
      else expect(result).toBeInstanceOf(Error);
    });

    test.for(FAULT_POINTS)("a process that dies at %s is recovered", async (point) => {
      await using world = await newToyWorld({ open: newOpen() });
      const before = await world.residue();
      world.faults = faultAt(point, new SimulatedCrash());
      await expect(world.create("mine")).rejects.toThrow(SimulatedCrash);
      expect(await world.restart()).toBe(point === "before_begin" ? 0 : 1);
      await world.engine.settled();
      if (FORWARD_POINTS.includes(point)) {
        expect([...world.node.announced]).toEqual(["other", "mine"]);
        expect([...world.node.drafts.keys()]).toEqual(["other"]);
        expect(world.node.log.filter((line) => line.startsWith("undo"))).toEqual([]);
      } else {
        expect(await world.residue()).toEqual(before);
        await world.create("mine");
      }
      expect(await world.journal().listOpen()).toEqual([]);
      expect(await world.locks.list()).toHaveLength(0);
      expect(await world.restart()).toBe(0);
    });
  });
}

test("a process under test kills itself at the named point, step and time", async () => {
  let kills = 0;
  const faults = killAt("after_act:toy.make_thing:2", () => {
    kills += 1;
  });
  const place = { kind: "CreateToy", seq: 1, step: "toy.make_thing" };
  await faults({ ...place, point: "after_act" });
  await faults({ ...place, point: "before_act" });
  await faults({ ...place, point: "after_act", step: "toy.other" });
  expect(kills).toBe(0);
  await faults({ ...place, point: "after_act" });
  await faults({ ...place, point: "after_act" });
  expect(kills).toBe(1);
});

test("without a step any counts, and an unknown point is refused", async () => {
  let kills = 0;
  const faults = killAt("before_commit", () => {
    kills += 1;
  });
  await faults({ kind: "CreateToy", seq: -1, step: "", point: "before_commit" });
  expect(kills).toBe(1);
  expect(() => killAt("before_lunch", () => {})).toThrow('unknown fault point "before_lunch"');
  expect(() => killAt("after_act:toy.make_thing:soon", () => {})).toThrow('"soon"');
});
