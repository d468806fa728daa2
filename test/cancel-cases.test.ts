// Every RPC that changes something, cancelled at every moment: before the pivot nothing of it is left.
import { expect, test } from "vitest";
import { Phase } from "../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { FaultPlace, FaultPoint } from "../src/transaction/faults.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { refused } from "./refused.ts";
import type { RpcCase } from "./saga-cases.ts";
import { newWorld, type World } from "./world.ts";

type Spot = Pick<FaultPlace, "point" | "seq">;

const BEFORE_PIVOT: readonly FaultPoint[] = [
  "after_begin",
  "before_act",
  "after_act",
  "before_commit",
];
const AFTER_PIVOT: readonly FaultPoint[] = ["after_commit", "before_retriable"];

async function newPrepared({ nodeCount = 1, prepare }: RpcCase): Promise<World> {
  const world = await newWorld({ nodeCount, inMemory: true, deliversLate: true });
  await prepare(world);
  return world;
}

/** The moments that a run of it passes. */
async function spotsOf(rpc: RpcCase): Promise<readonly Spot[]> {
  await using world = await newPrepared(rpc);
  const spots: Spot[] = [];
  world.faults = ({ kind, point, seq }) => {
    if (kind === rpc.rpc) spots.push({ point, seq });
  };
  await rpc.call(world);
  return spots;
}

/** Runs it, and has it cancelled at that moment. */
async function cancelledAt(world: World, { rpc, call }: RpcCase, spot: Spot) {
  let cancelling: Promise<unknown> | undefined;
  world.faults = async ({ kind, point, seq }) => {
    if (kind !== rpc || point !== spot.point || seq !== spot.seq) return;
    const live = world.opened.api.engine.live.all().find(({ header }) => header.kind === rpc);
    cancelling = world.transactions.cancelTransaction({ id: live!.id });
    cancelling.catch(() => undefined);
    // It goes no further before it knows.
    while (!live!.signal.aborted && !live!.header.isCommitted) await new Promise(setImmediate);
  };
  const ended = call(world);
  ended.catch(() => undefined);
  await Promise.allSettled([ended]);
  world.faults = () => {};
  await world.opened.api.engine.settled();
  return { ended, cancelling };
}

test.for(CASES_IN_ORDER.filter(isOwn))(
  "$rpc $about, cancelled before its commit at each step, leaves nothing; after it, it is finished",
  async (rpc) => {
    const spots = await spotsOf(rpc);
    const inTime = spots.filter(({ point }) => BEFORE_PIVOT.includes(point));
    expect(inTime.length).toBeGreaterThanOrEqual(2);
    for (const spot of inTime) {
      await using world = await newPrepared(rpc);
      const before = await world.residue();
      const { ended, cancelling } = await cancelledAt(world, rpc, spot);
      const where = `${spot.point} ${spot.seq}`;
      expect(await refused(ended), where).toMatchObject({ code: "Canceled", rollback: "done" });
      await expect(cancelling, where).resolves.toMatchObject({
        transaction: { rpc: rpc.rpc, phase: expect.toSatisfy(isGoingBack) },
      });
      expect(await world.residue(), where).toEqual(before);
    }
    for (const spot of spots.filter(({ point }) => AFTER_PIVOT.includes(point))) {
      await using world = await newPrepared(rpc);
      const { ended, cancelling } = await cancelledAt(world, rpc, spot);
      await ended;
      expect((await refused(cancelling!)).code).toBe("FailedPrecondition");
    }
  },
);

function isGoingBack(phase: Phase): boolean {
  return phase === Phase.UNWINDING || phase === Phase.UNDONE;
}

/** A transaction within another one is stopped with that. */
function isOwn({ rpc }: RpcCase): boolean {
  return rpc !== "CopyBase";
}
