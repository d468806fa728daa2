import { Tally } from "../../src/api/core/quota/tally.ts";
import { AddressBook } from "../../src/api/network/interface/address-book.ts";
import { interfaces } from "../../src/api/network/interface/collection.ts";
import { releaseInterface, reserveInterface } from "../../src/api/network/interface/interfaces.ts";
import {
  countedOn,
  storageSizes,
  toCounted,
  whyNot,
} from "../../src/api/pool/inventory/amounts.ts";
import { allocations, storages } from "../../src/api/pool/inventory/collection.ts";
import { Inventory } from "../../src/api/pool/inventory/inventory.ts";
import { reserveStorage } from "../../src/api/pool/inventory/steps.ts";
import { blockStorages } from "../../src/api/provisioning/block-storage/collection.ts";
import { blockStorageSteps, settled } from "../../src/api/provisioning/block-storage/record.ts";
import { put, putNew } from "../../src/datastore/collection.ts";
import { type Datastore, merge, type Writes } from "../../src/datastore/datastore.ts";
import { stepCollection, transactionCollection } from "../../src/datastore/datastore-journal.ts";
import { HeldObjects } from "../../src/datastore/held-objects.ts";
import { LockTable } from "../../src/datastore/lock-table.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { StepRow } from "../../src/transaction/journal.ts";
import { LiveTransaction } from "../../src/transaction/live.ts";
import { N0Error } from "../../src/util/errors.ts";
import { replaced } from "./replaced.ts";
import type { Bug } from "./simulation.ts";
import { TASK_BUGS } from "./task-bugs.ts";

/** The row of a step that is about to act, if a batch holds nothing else. */
function startedRow({ puts = [], deletes = [] }: Writes): (StepRow & { id: string }) | undefined {
  const [only, ...others] = puts;
  if (only === undefined || others.length > 0 || deletes.length > 0) return undefined;
  if (!only.key.startsWith(stepCollection.prefix)) return undefined;
  const row: StepRow = stepCollection.decode(only.value);
  return row.phase === "started" ? { ...row, id: stepCollection.parts(only.key)[0]! } : undefined;
}

function journalAfterTheAct(datastore: Datastore): Datastore {
  /** By transaction: the rows that are not journaled yet. */
  const owed = new Map<string, Writes>();
  return {
    ...datastore,
    async batch(writes) {
      const row = startedRow(writes);
      if (row !== undefined) {
        owed.set(row.id, merge(owed.get(row.id) ?? {}, writes));
        return await datastore.batch({});
      }
      const ids = (writes.puts ?? []).map(({ key }) => key.split("/")[1]!);
      const late = ids.flatMap((id) => {
        const found = owed.get(id);
        owed.delete(id);
        return found === undefined ? [] : [found];
      });
      const given = new Set((writes.puts ?? []).map(({ key }) => key));
      const rows = merge(...late).puts?.filter(({ key }) => !given.has(key)) ?? [];
      return await datastore.batch(merge({ puts: rows }, writes));
    },
  };
}

function forgottenJournalWrite(datastore: Datastore): Datastore {
  return {
    ...datastore,
    batch: (writes) =>
      datastore.batch(startedRow(writes)?.name === "volume.ensure_empty" ? {} : writes),
  };
}

/** Undoes the steps of an earlier process in the wrong order, and its own in the right one. */
function recoveryInForwardOrder(): Pick<Bug, "wrapDatastore" | "plant"> {
  let own = new Set<string>();
  return {
    wrapDatastore(datastore) {
      own = new Set();
      return {
        ...datastore,
        batch(writes) {
          for (const { key, revision } of writes.conditions ?? []) {
            const isBegin = key.startsWith(transactionCollection.prefix) && revision === 0;
            if (isBegin) own.add(transactionCollection.parts(key)[0]!);
          }
          return datastore.batch(writes);
        },
      };
    },
    plant() {
      const { prototype } = LiveTransaction;
      const right = Object.getOwnPropertyDescriptor(prototype, "rows")!;
      const get = function (this: LiveTransaction) {
        const rows: readonly StepRow[] = right.get!.call(this);
        const isRecovered = this.header.state === "unwinding" && !own.has(this.id);
        return isRecovered ? rows.toReversed() : rows;
      };
      Object.defineProperty(prototype, "rows", { ...right, get });
      const putBack = () => void Object.defineProperty(prototype, "rows", right);
      return { [Symbol.dispose]: putBack };
    },
  };
}

/** Planted one at a time; the simulation must find each. */
export const BUGS: readonly Bug[] = [
  ...TASK_BUGS,
  { name: "the journal is written after the act", wrapDatastore: journalAfterTheAct },
  { name: "a journal write is forgotten", wrapDatastore: forgottenJournalWrite },
  { name: "recovery undoes in forward order", ...recoveryInForwardOrder() },
  {
    // A bug of the original: one undo for all disks of a virtual machine, whoever had them before.
    name: "one undo for a loop",
    plant: () => {
      const { put: step } = blockStorageSteps;
      const own = step.undo;
      return replaced(step, "undo", async (context, input, scope) => {
        const { usedBy } = blockStorages.decode(Buffer.from(input.after, "base64"));
        if (usedBy === "") return await own.call(step, context, input, scope);
        const { api, held } = context;
        for (const { key, value } of await api.records.list(blockStorages)) {
          if (value.usedBy !== usedBy || !held.keys.includes(key)) continue;
          const free = settled(value, DiskState.AVAILABLE);
          await api.datastore.batch(held.put(blockStorages, blockStorages.refOf(key), free, value));
        }
      });
    },
  },
  {
    name: "an undo does not ask whose it is",
    plant: () =>
      replaced(reserveInterface, "undo", async ({ api }, { network, interface: { name } }) => {
        const stored = await api.records.find(interfaces, network, name);
        if (stored === undefined) return;
        await api.datastore.batch(releaseInterface(network, stored.value));
      }),
  },
  {
    name: "a quota does not count what is used",
    plant: () => replaced(Tally.prototype, "used", () => 0n),
  },
  {
    name: "automatic choice does not look at reserved ranges",
    plant: () => {
      const { choose } = AddressBook.prototype;
      return replaced(
        AddressBook.prototype,
        "choose",
        function (this: AddressBook, network, cidr, _ranges, besides) {
          return choose.call(this, network, cidr, [], besides);
        },
      );
    },
  },
  {
    name: "a lock is not taken",
    plant: () =>
      replaced(LockTable.prototype, "acquire", async (_session, keys) => {
        return new HeldObjects([...new Set(keys)].sort(), 0, async () => {});
      }),
  },
  {
    name: "an agent does not look at generations",
    wrapQueue: (queue) => {
      let count = 0n;
      return {
        ...queue,
        get busyKeys() {
          return queue.busyKeys;
        },
        get idleKeys() {
          return queue.idleKeys;
        },
        run: (key, _generation, work) => queue.run(key, count++, work),
      };
    },
  },
  {
    name: "capacity is granted without a condition",
    plant: () => {
      const stack = new DisposableStack();
      const noHold = { [Symbol.dispose]: () => {} };
      stack.use(replaced(Inventory.prototype, "hold", () => noHold));
      stack.use(
        replaced(reserveStorage, "writeRecords", async ({ api }, input, scope, write) => {
          const { nodeName, id, storage } = input;
          const { transactionId } = scope;
          const view = api.inventory.get(nodeName);
          const asked = countedOn(view.node, storageSizes(storage));
          if (whyNot(view, asked) !== undefined) {
            throw new N0Error("resource_exhausted", "no room");
          }
          // As long as asking a node first takes.
          await api.clock.sleep(50);
          const reserved = { ...storage, transactionId, counted: toCounted(asked) };
          const writes = putNew(storages, [nodeName, id], reserved);
          await write(merge(writes, put(allocations, [nodeName], {})));
        }),
      );
      return stack;
    },
  },
];
