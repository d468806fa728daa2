import type { Datastore, Writes } from "../src/datastore/datastore.ts";
import {
  openCollection,
  stepCollection,
  transactionCollection,
} from "../src/datastore/datastore-journal.ts";
import { diskRequest, type FakeCloud, machineRequest, openFakeCloud } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";

const CREATES = 50;
const JOURNAL = [transactionCollection.prefix, stepCollection.prefix, openCollection.prefix];

/** The same creates with the journal, and without it, which nobody should run. */
export const journal: Measurement = {
  name: "journal",
  async run({ runs }) {
    await using without = await openFakeCloud(10, { wrapDatastore: withoutJournal });
    await using cloud = await openFakeCloud(10);
    const steps = await stepsOfCreate(cloud);
    const { floor, ours } = await inTurn(runs, {
      floor: (run) => createIn(without, `r${run}`),
      ours: (run) => createIn(cloud, `r${run}`),
    });
    return [
      {
        what: "a create with its journal, against the same without",
        unit: "ms",
        floor: median(floor),
        ours: median(ours),
        note: `one after the other on fake drivers, ${CREATES} creates in each run; a journal row that is written with a step's records costs no extra write`,
      },
      {
        what: "what the journal costs for each step",
        unit: "ms",
        ours: (median(ours) - median(floor)) / steps,
        note: `the difference, divided by the ${steps} steps of a create; it includes its beginning and its commit`,
      },
    ];
  },
};

async function createIn(cloud: FakeCloud, prefix: string): Promise<number> {
  const names = Array.from({ length: CREATES }, (_, i) => `${prefix}-${i}`);
  for (const name of names) await cloud.blockStorages.createBlockStorage(diskRequest(name));
  const ms = await timed(async () => {
    for (const name of names) {
      await cloud.virtualMachines.createVirtualMachine(machineRequest(name, name));
    }
  });
  return ms / CREATES;
}

async function stepsOfCreate({ opened, blockStorages, virtualMachines }: FakeCloud) {
  await blockStorages.createBlockStorage(diskRequest("first"));
  const count = async () => (await opened.api.datastore.list(stepCollection.prefix)).length;
  const before = await count();
  await virtualMachines.createVirtualMachine(machineRequest("first", "first"));
  return (await count()) - before;
}

/** Drops the rows of the journal, and the batches that hold nothing else. */
function withoutJournal(datastore: Datastore): Datastore {
  const isKept = (key: string) => !JOURNAL.some((prefix) => key.startsWith(prefix));
  let revision = 0;
  return {
    get: (key) => datastore.get(key),
    list: (prefix, page) => datastore.list(prefix, page),
    checkRoom: () => datastore.checkRoom(),
    snapshot: (prefix) => datastore.snapshot(prefix),
    revision: () => datastore.revision(),
    watch: (prefix, fromRevision, listener) => datastore.watch(prefix, fromRevision, listener),
    seen: (revision) => datastore.seen(revision),
    async batch({ puts = [], deletes = [], conditions = [] }: Writes) {
      const kept = {
        puts: puts.filter(({ key }) => isKept(key)),
        deletes: deletes.filter(isKept),
        conditions: conditions.filter(({ key }) => isKept(key)),
      };
      // The revision of the last write serves as a generation.
      if (kept.puts.length + kept.deletes.length > 0) revision = await datastore.batch(kept);
      return revision;
    },
    [Symbol.asyncDispose]: () => datastore[Symbol.asyncDispose](),
  };
}
