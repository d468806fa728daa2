// While one transaction needs an operator, every other saga that shares an object with it is tried.
import { expect, test } from "vitest";
import { Phase } from "../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { FaultPlace } from "../src/transaction/faults.ts";
import { systemClock } from "../src/util/clock.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { otherSagas } from "./other-sagas.ts";
import { pendingRecords } from "./pending-owner.ts";
import type { RpcCase } from "./saga-cases.ts";
import { newWorld, type World } from "./world.ts";

/** Of a node that is lost verify says nothing that could be compared. */
const OF_NODES = ["DeleteNode", "SetNodeLost"];
const cases = CASES_IN_ORDER.filter(({ rpc }) => !OF_NODES.includes(rpc));

/** Five tries pass in no time. */
const hasty = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 1000, signal),
};

interface Stuck {
  readonly point: "before_undo" | "before_retriable";
  readonly step: string;
  readonly seq: number;
}

async function worldOf({ nodeCount = 1, prepare }: RpcCase): Promise<World> {
  const world = await newWorld({ nodeCount, clock: hasty, inMemory: true });
  await prepare(world);
  return world;
}

/** Each step whose undo, or whose act after the pivot, may need an operator. */
async function placesOf(saga: RpcCase): Promise<readonly Stuck[]> {
  await using world = await worldOf(saga);
  const places: FaultPlace[] = [];
  world.faults = (place) => void places.push(place);
  await saga.call(world);
  await world.opened.api.engine.settled();
  const own = places.filter(({ kind }) => kind === saga.rpc);
  const at = (point: FaultPlace["point"], stuck: Stuck["point"]) =>
    own.filter((p) => p.point === point).map(({ step, seq }) => ({ point: stuck, step, seq }));
  return [...at("before_act", "before_undo"), ...at("before_retriable", "before_retriable")];
}

/** Runs the saga until it needs an operator there, and answers the id of its transaction. */
async function stick(world: World, { rpc, call }: RpcCase, stuck: Stuck): Promise<string> {
  world.faults = ({ kind, point, seq }) => {
    if (kind !== rpc) return;
    if (point === stuck.point && seq === stuck.seq) throw new Error("it is stuck");
    if (point === "before_commit" && stuck.point === "before_undo") throw new Error("injected");
  };
  await expect(call(world)).rejects.toThrow();
  await world.opened.api.engine.settled();
  world.faults = () => {};
  const phases = [Phase.NEEDS_OPERATOR];
  const { transactions } = await world.transactions.listTransactions({ scope: "system", phases });
  expect(transactions.map((transaction) => transaction.rpc)).toEqual([rpc]);
  return transactions[0]!.id;
}

async function tryOthers(world: World, id: string): Promise<void> {
  const { transaction } = await world.transactions.getTransaction({ id });
  for (const other of otherSagas(transaction!.resources)) {
    const before = await world.residue();
    const isRefused = await other.run(world).then(
      () => false,
      () => true,
    );
    await world.opened.api.engine.settled();
    const after = await world.residue();
    if (isRefused) expect(after, `${other.name} is refused and changes nothing`).toEqual(before);
    expect(pendingRecords(after), `${other.name} leaves what is PENDING`).toEqual(
      pendingRecords(before),
    );
  }
}

const titled = cases.map((saga) => [[saga.rpc, saga.about ?? ""].join(" "), saga] as const);

test.for(titled)(
  "%s: whatever else runs while it needs an operator, it comes to rest as it should",
  { timeout: 60_000 },
  async ([, saga]) => {
    for (const stuck of await placesOf(saga)) {
      await using world = await worldOf(saga);
      const id = await stick(world, saga, stuck);
      await tryOthers(world, id);
      await world.transactions.retryTransaction({ id });
      await world.opened.api.engine.settled();
      const { transaction } = await world.transactions.getTransaction({ id });
      const rest = stuck.point === "before_undo" ? Phase.UNDONE : Phase.DONE;
      const where = `${stuck.point} ${stuck.step}`;
      expect(transaction?.phase, where).toBe(rest);
      const after = await world.residue();
      expect(pendingRecords(after), where).toEqual({});
      expect([after.locks, after.inHand], where).toEqual([0, 0]);
      const { findings } = await world.verify.verify({});
      expect(findings, where).toEqual([]);
    }
  },
);
