import { expect, test } from "vitest";
import {
  findingsIn,
  handsOn,
  linesOf,
  newVerifyWorld,
  repairIn,
} from "../../../test/verify-world.ts";

test("what is not ours is neither told of nor touched", async () => {
  await using world = await newVerifyWorld();
  const { here } = handsOn(world);
  here.compute.addForeign("theirs", "6f1a9f60-0000-4000-8000-000000000009");
  here.network.foreignDevices.add("br-theirs");
  // Files of others: nothing beside them says that they are ours, whatever they are called.
  here.volume.damage.set("theirs", { hasFile: true, partialCount: 0 });
  here.volume.damage.set("theirs.0123456789ab", { hasFile: true, sidecar: "altered" });
  const before = [await world.residue(), [...here.volume.damage], [...here.network.foreignDevices]];
  expect(linesOf(await findingsIn(world))).toEqual([]);
  expect(await repairIn(world)).toEqual([]);
  expect([
    await world.residue(),
    [...here.volume.damage],
    [...here.network.foreignDevices],
  ]).toEqual(before);
});
