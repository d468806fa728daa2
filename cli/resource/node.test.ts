import { expect, test } from "vitest";
import { systemClock } from "../../src/util/clock.ts";
import { newWorld } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

test("a silent node is declared lost, and found again", async () => {
  let passedMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs };
  await using world = await newWorld({ inMemory: true, clock });
  world.fakeNodes[0]!.isDown = true;
  passedMs = 60_000;
  for (const [word, lost] of [["lost", true] as const, ["found", false] as const]) {
    const t = newTestIo({ transport: world.transport });
    expect(`${await run(["node", word, "node-1"], t.io)} ${t.stderr()}`).toMatch(/^0 /);
    expect(await world.nodes.getNode({ name: "node-1" })).toMatchObject({ lost });
  }
});
