import { expect, test } from "vitest";
import { asTask, isTaskName } from "./as-task.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { comparable, type RpcCase, stillClock } from "./saga-cases.ts";
import { newWorld, type World } from "./world.ts";

const cases = CASES_IN_ORDER.filter(({ rpc }) => isTaskName(rpc));

test.for(cases)("$rpc, $about: does the same as a task", async (rpcCase) => {
  const alone = await after(rpcCase, (world) => world);
  expect(await after(rpcCase, asTask)).toEqual(alone);
});

async function after({ nodeCount = 1, prepare, call }: RpcCase, how: (world: World) => World) {
  await using world = await newWorld({ nodeCount, clock: stillClock, inMemory: true });
  await prepare(world);
  await call(how(world));
  await world.opened.api.engine.settled();
  return comparable(await world.residue());
}
