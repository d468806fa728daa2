// Verify at every moment of every RPC, going forward and going back: there is nothing to be said then.
import { describe, expect, test } from "vitest";
import type { FaultPlace } from "../src/transaction/faults.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { findingsIn, linesOf } from "./verify-world.ts";
import { newWorld, type World } from "./world.ts";

/** A node that is only a record, as some cases make one, is told of as it should be. */
async function alarmsIn(world: World): Promise<string[]> {
  return linesOf(await findingsIn(world)).filter((line) => !line.startsWith("node.unreachable"));
}

/** Looks at each moment of the world's transactions, and answers what it was told, by the moment. */
function lookAlways(world: World, fails: (place: FaultPlace) => boolean = () => false) {
  const alarms: string[] = [];
  const looked = new Set<string>();
  world.faults = async (place) => {
    const { point, step } = place;
    looked.add(point);
    const lines = await alarmsIn(world);
    alarms.push(...lines.map((line) => `${point} ${step}: ${line}`));
    if (fails(place)) throw new Error("injected");
  };
  return { alarms, looked };
}

describe.each(CASES_IN_ORDER)("$rpc $about", ({ nodeCount = 1, prepare, call }) => {
  test("is in order at every moment, done or undone", async () => {
    await using world = await newWorld({ nodeCount, inMemory: true });
    await prepare(world);
    expect(await alarmsIn(world)).toEqual([]);
    const back = lookAlways(world, ({ point }) => point === "before_commit");
    await expect(call(world)).rejects.toThrow();
    await world.opened.api.engine.settled();
    expect(back.alarms).toEqual([]);
    expect(back.looked).toContain("before_commit");
    const forth = lookAlways(world);
    await call(world);
    await world.opened.api.engine.settled();
    expect(forth.alarms).toEqual([]);
    expect(forth.looked).toContain("after_commit");
    world.faults = () => {};
    expect(await alarmsIn(world)).toEqual([]);
  });
});
