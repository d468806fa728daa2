import { expect, test } from "vitest";
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
import { BlockStorage_BlockStorageState as State } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { SimulatedCrash } from "../src/transaction/faults.ts";
import { blockStorageRef } from "./refs.ts";
import { GiB, prepareDisk, webRequest } from "./scenario.ts";
import { newWorld, type World } from "./world.ts";

/** A disk of this world that grows as it did when the file grew after the pivot. */
async function growAsBefore(world: World): Promise<unknown> {
  const { api } = world.opened;
  const ref = blockStorageRef("root");
  const disk = (await api.records.find(blockStorages, ref))!.value;
  const { name, nodeName, volumeId, usedBy } = disk;
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
      name,
      sizeBytes: after.limitBytes.toString(),
      beforeBytes: disk.limitBytes.toString(),
    };
    await tx.commit(
      api.inventory.storages.settle(nodeName, volumeId, storage),
      usedBy === ""
        ? { name: growVolumeLater.name, input: place }
        : { name: growDomainDiskLater.name, input: { ...place, virtualMachineName: usedBy } },
      blockStorageSteps.settleLater(ref, after),
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
