import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { put } from "../../../datastore/collection.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { NodeSchema } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { systemClock } from "../../../util/clock.ts";
import { nodeRef } from "../../../util/ref.ts";
import { Inventory, SILENCE_MS } from "../inventory/inventory.ts";
import { heartbeats, nodes } from "./collection.ts";
import { onReadinessChange } from "./readiness.ts";

test("told are a node that falls silent, one that is back, and one that was silent between two looks", async () => {
  let nowMs = 1_000;
  let look: () => void = () => {};
  const clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: () => new Promise<void>((resolve) => (look = resolve)),
  };
  await using datastore = memoryDatastore();
  const beat = () => datastore.batch(put(heartbeats, ["node-1"], { atMs: nowMs }));
  await datastore.batch(put(nodes, [nodeRef("node-1")], create(NodeSchema, { name: "node-1" })));
  await beat();
  using inventory = await Inventory.open(datastore, clock);
  let told: string[] = [];
  const stop = onReadinessChange(
    { inventory, clock, shutdown: new AbortController().signal },
    (name) => told.push(name),
  );
  const toldAt = async () => {
    look();
    await new Promise(setImmediate);
    const names = told;
    told = [];
    return names;
  };

  nowMs += SILENCE_MS;
  await beat();
  expect(await toldAt()).toEqual([]);
  nowMs += SILENCE_MS + 1;
  expect(await toldAt()).toEqual(["node-1"]);
  await beat();
  expect(await toldAt()).toEqual(["node-1"]);
  expect(await toldAt()).toEqual([]);
  nowMs += SILENCE_MS + 1;
  await beat();
  expect(await toldAt()).toEqual(["node-1"]);
  stop();
});
