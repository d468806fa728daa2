import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { runUnanswered } from "../src/api/core/saga/saga.ts";
import { changeStorage } from "../src/api/pool/inventory/steps.ts";
import { blockStorages } from "../src/api/provisioning/block-storage/collection.ts";
import { reservationOf } from "../src/api/provisioning/block-storage/make.ts";
import {
  blockStorageSteps,
  pending,
  withUser,
} from "../src/api/provisioning/block-storage/record.ts";
import {
  growDomainDiskLater,
  growVolumeLater,
} from "../src/api/provisioning/block-storage/volume/grow-steps.ts";
import { resources } from "../src/api/resources.ts";
import { putOf } from "../src/datastore/collection.ts";
import { openCollection, stepCollection } from "../src/datastore/datastore-journal.ts";
import { BlockStorage_BlockStorageState as State } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { type FaultPoint, SimulatedCrash } from "../src/transaction/faults.ts";
import { type Later, later } from "../src/transaction/step.ts";
import { until } from "../src/util/until.ts";
import { RPC_CASES } from "./cases.ts";
import { olderInput, STEPS_WITH_OLDER_INPUTS } from "./older-inputs.ts";
import { blockStorageRef, vmRef } from "./refs.ts";
import { type RpcCase, stillClock } from "./saga-cases.ts";
import { GiB, prepareDisk, webRequest } from "./scenario.ts";
import { findingsIn } from "./verify-world.ts";
import { newWorld, type World } from "./world.ts";

function olderLater({ name, input }: Later): Later {
  return { name, input: olderInput(name, input) };
}

/** A disk of this world that grows as it did when the file grew after the pivot. */
async function growAsBefore(world: World): Promise<unknown> {
  const { api } = world.opened;
  const ref = blockStorageRef("root");
  const disk = (await api.records.find(blockStorages, ref))!.value;
  const { nodeName, volumeId, usedBy } = disk;
  const after = { ...disk, limitBytes: 20n * GiB };
  const keys = withUser(ref, disk);
  const call = {
    signal: new AbortController().signal,
    responseHeader: new Headers(),
    requestHeader: new Headers(),
  };
  return await runUnanswered(api, call, { kind: "UpdateBlockStorage", keys }, async (tx) => {
    await blockStorageSteps.replace(tx, ref, disk, pending(disk, tx.id));
    const transactionId = tx.id;
    const storage = { ...reservationOf(ref, after), transactionId };
    const before = { ...reservationOf(ref, disk), transactionId };
    await tx.run(changeStorage, { nodeName, id: volumeId, before, after: storage });
    const place = {
      nodeName,
      volumeId,
      ref,
      sizeBytes: after.limitBytes.toString(),
      beforeBytes: disk.limitBytes.toString(),
    };
    await tx.commit(
      api.inventory.storages.settle(nodeName, volumeId, storage),
      usedBy === ""
        ? olderLater(later(growVolumeLater, place))
        : olderLater(later(growDomainDiskLater, { ...place, virtualMachine: vmRef(usedBy) })),
      olderLater(blockStorageSteps.settleLater(ref, after)),
    );
  });
}

test.for([
  ["nobody uses", async () => {}, State.AVAILABLE],
  [
    "a virtual machine uses",
    (world: World) => world.virtualMachines.createVirtualMachine(webRequest()),
    State.IN_USE,
  ],
] as const)(
  "a growth of a disk that %s, committed by an older version, is finished",
  async (of) => {
    const [, prepare, state] = of;
    await using world = await newWorld({ inMemory: true });
    await prepareDisk(world);
    await prepare(world);
    world.faults = ({ point }) => {
      if (point === "after_commit") throw new SimulatedCrash("injected");
    };
    await expect(growAsBefore(world)).rejects.toThrow(SimulatedCrash);
    await world.restart();
    const disk = await world.blockStorages.getBlockStorage({ name: "root" });
    expect(disk).toMatchObject({ state, limitBytes: 20n * GiB, transactionId: "" });
    expect(world.fakeNodes[0]!.snapshot().volumes[0]).toMatchObject({
      virtualSizeBytes: 20n * GiB,
    });
  },
);

/** As the version before wrote them: the rows of all transactions that are open. */
async function writeOlderRows({ opened }: World): Promise<readonly string[]> {
  const { datastore, records } = opened.api;
  const changed: string[] = [];
  for (const { key } of await records.list(openCollection)) {
    const [id] = openCollection.parts(key);
    for (const { key: rowKey, value: row } of await records.list(stepCollection, [id])) {
      const input = olderInput(row.name, row.input);
      if (isDeepStrictEqual(input, row.input)) continue;
      await datastore.batch({ puts: [putOf(stepCollection, rowKey, { ...row, input })] });
      changed.push(row.name);
    }
  }
  return changed;
}

/** Runs the request until the process dies there, and starts one of this version. */
async function dieAndStart(world: World, { rpc, call }: RpcCase, at: FaultPoint) {
  world.faults = ({ kind, point }) => {
    if (kind === rpc && point === at) throw new SimulatedCrash("injected");
  };
  await expect(call(world)).rejects.toThrow();
  await world.opened.api.engine.settled();
  const changed = await writeOlderRows(world);
  await world.restart();
  await until(async () => world.opened.api.engine.live.all().length === 0);
  expect(await world.opened.api.records.list(openCollection)).toEqual([]);
  return changed;
}

const steps = resources.flatMap(({ steps }) => [
  ...(steps.steps ?? []),
  ...(steps.retriables ?? []),
  ...(steps.formerRetriables ?? []),
]);
const read = new Set<string>();

/** Their undo does nothing, or they are finished above. */
const NOT_READ_HERE = ["domain.press_power_button"];
/** A node that a case makes has no agent. */
const ABOUT_NODES = ["node.unreachable"];

describe("a journal of the version before", () => {
  test("may hold names in the inputs of each step that reads older ones", () => {
    const reading = steps.filter(({ today }) => today !== undefined).map(({ name }) => name);
    expect([...new Set(reading)].sort()).toEqual(STEPS_WITH_OLDER_INPUTS);
  });

  // What an API puts right when it starts is not there any more for the second death.
  const cases = RPC_CASES.filter(
    ({ isOfProjects, toldAtStart }) => isOfProjects !== true && toldAtStart === undefined,
  );
  for (const rpcCase of cases) {
    const { rpc, about, nodeCount = 1, prepare } = rpcCase;
    test(`of ${rpc}${about === undefined ? "" : `, ${about}`} is undone, or finished`, async () => {
      await using world = await newWorld({ nodeCount, clock: stillClock, inMemory: true });
      await prepare(world);
      const before = await world.residue();
      for (const name of await dieAndStart(world, rpcCase, "before_commit")) read.add(name);
      expect(await world.residue()).toEqual(before);
      for (const name of await dieAndStart(world, rpcCase, "after_commit")) read.add(name);
      const findings = (await findingsIn(world)).filter(({ code }) => !ABOUT_NODES.includes(code));
      if (rpc !== "Repair") expect(findings).toEqual([]);
    });
  }

  test("was read for each of these steps", () => {
    expect([...read, ...NOT_READ_HERE].sort()).toEqual(STEPS_WITH_OLDER_INPUTS);
  });
});
