import { expect, test } from "vitest";
import { newWorld } from "../../../../test/world.ts";
import { type Clock, systemClock } from "../../../util/clock.ts";
import { HELD_MAX_MS } from "./node-turns.ts";

test("a few of the steps that work on a node reach it at a time", async () => {
  // However long the calls take, they keep their turns.
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(ms === HELD_MAX_MS ? 60_000 : ms, signal),
  };
  await using world = await newWorld({ inMemory: true, clock });
  const { transport } = world.fakeNodes[0]!;
  const { unary } = transport;
  let atNode = 0;
  let most = 0;
  const full = Promise.withResolvers<void>();
  transport.unary = async (...call) => {
    if (!call[0].name.startsWith("Ensure")) return await unary(...call);
    most = Math.max(most, ++atNode);
    // Those that are there wait for the others, however long these take on a busy machine.
    if (most === 8) full.resolve();
    try {
      await full.promise;
      // One too many would come now.
      await new Promise((resolve) => setTimeout(resolve, 5));
      return await unary(...call);
    } finally {
      atNode -= 1;
    }
  };
  const creates = Array.from({ length: 20 }, (_, i) =>
    world.virtualMachines.createVirtualMachine({
      ...{ name: `vm-${i}`, requestCpuMilliCore: 10, limitCpuMilliCore: 1000 },
      ...{ requestMemoryBytes: 1n << 26n, limitMemoryBytes: 1n << 26n },
    }),
  );
  await Promise.all(creates);
  expect(most).toBe(8);
});
