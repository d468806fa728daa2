import { expect, test } from "vitest";
import { findingsIn, linesOf, newVerifyWorld, repairIn } from "../../../../test/verify-world.ts";

test("a world in which nothing was touched has no finding, and a repair changes nothing", async () => {
  await using world = await newVerifyWorld();
  expect(linesOf(await findingsIn(world))).toEqual([]);
  const before = await world.residue();
  expect(await repairIn(world)).toEqual([]);
  expect(await world.residue()).toEqual(before);
});
