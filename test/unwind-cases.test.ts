import { expect, test } from "vitest";
import { put, remove } from "../src/datastore/collection.ts";
import { memoryDatastore } from "../src/datastore/memory/memory-datastore.ts";
import { noFaults } from "../src/transaction/faults.ts";
import {
  announce,
  makeThing,
  newToyWorld,
  paintThing,
  slots,
  type ToyOptions,
  type ToyWorld,
  takeSlot,
  toySaga,
  toys,
} from "./toy-saga.ts";
import { type SagaCase, unwindCases, unwindScenarios } from "./unwind-cases.ts";

const steps = [takeSlot, makeThing, paintThing];

function toyCase(options: Partial<ToyOptions> = {}): SagaCase<ToyWorld> {
  return {
    name: "CreateToy",
    newWorld: () => {
      const datastore = memoryDatastore();
      return newToyWorld({ open: () => datastore, ...options });
    },
    run: async (world, faults) => {
      world.faults = faults;
      try {
        return await world.create("mine");
      } finally {
        world.faults = noFaults;
      }
    },
    residue: (world) => world.residue(),
    // The ids of transactions differ from world to world.
    outcome: async (world) =>
      JSON.stringify(await world.residue()).replaceAll(
        /[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{4}/g,
        "ID",
      ),
    restart: async (world, faults) => {
      await world.restart(faults);
      await world.engine.settled();
    },
    stepsOf: (world) => world.lastSteps(),
    actAgain: async (world, row) => {
      const step = [...(options.steps ?? []), ...steps].find(({ name }) => name === row.name)!;
      const { id } = (await world.headers()).at(-1)!;
      const { datastore, node } = world;
      const scope = { transactionId: id, generation: 1, signal: new AbortController().signal };
      await step.act({ datastore, node }, row.input as { name: string }, scope, undefined);
    },
  };
}

await unwindCases(toyCase());

const bugs: Readonly<Record<string, Partial<ToyOptions>>> = {
  "an undo that does nothing": { steps: [{ ...makeThing, undo: async () => {} }] },
  "an undo that takes what others made": {
    steps: [{ ...makeThing, undo: async ({ node }) => node.things.clear() }],
  },
  "an undo that does not look whose it is": {
    steps: [
      {
        ...takeSlot,
        undo: async ({ datastore }) => void (await datastore.batch(remove(slots, "other"))),
      },
    ],
  },
  "an undo that fails when its act never ran": {
    steps: [
      {
        ...makeThing,
        async undo(context, input, scope) {
          if (!context.node.things.has(input.name)) throw new Error("there is none");
          await makeThing.undo(context, input, scope);
        },
      },
    ],
  },
  "an act that does not bear being repeated": {
    steps: [
      {
        ...makeThing,
        async act(context, input, scope, secret) {
          if (context.node.things.has(input.name)) throw new Error("there is one");
          await makeThing.act(context, input, scope, secret);
        },
      },
    ],
  },
  "a step that does its work outside of its act": {
    saga: async (tx, name, of) => {
      tx.context.node.things.set(name, "nobody");
      return await toySaga(tx, name, of);
    },
  },
  "the final record written before the commit": {
    saga: async (tx, name, of) => {
      await tx.context.datastore.batch(put(toys, [name], { state: "made" }));
      return await toySaga(tx, name, of);
    },
  },
  "work after the commit that is no retriable step": {
    saga: async (tx, name, of) => {
      await toySaga(tx, name, of);
      tx.context.node.things.set(`${name} extra`, "nobody");
      return name;
    },
  },
  "a retriable step that does not bear being repeated": {
    retriables: [
      {
        ...announce,
        async act({ node }, { name }) {
          if (node.announced.has(name)) throw new Error("announced already");
          node.announced.add(name);
        },
      },
    ],
  },
  "a step journaled after its act": {
    wrapJournal: (journal) => {
      let late: (() => Promise<number>) | undefined;
      const flush = async () => {
        await late?.();
        late = undefined;
      };
      return {
        ...journal,
        stepStarted: async (id, row) => {
          await flush();
          late = () => journal.stepStarted(id, row);
          return 1;
        },
        commit: async (...given) => {
          await flush();
          return await journal.commit(...given);
        },
      };
    },
  },
  "a recovery that undoes the first step first": {
    wrapJournal: (journal) => ({
      ...journal,
      listSteps: async (id) => {
        const rows = await journal.listSteps(id);
        return rows.map((row, i) => ({ ...row, seq: rows.at(-1 - i)!.seq }));
      },
    }),
  },
  "a recovery that forgets the last step": {
    wrapJournal: (journal) => ({
      ...journal,
      listSteps: async (id) => (await journal.listSteps(id)).slice(0, -1),
    }),
  },
  "a commit that writes no records": {
    wrapJournal: (journal) => ({
      ...journal,
      commit: (header, _, retriables) => journal.commit(header, {}, retriables),
    }),
    saga: async (tx, name, of) => {
      await toySaga(tx, name, of);
      await tx.context.datastore.batch(put(toys, [name], { state: "made" }));
      return name;
    },
  },
  "locks that are not let go": { wrapOnRest: () => async () => {} },
};

for (const [name, bug] of Object.entries(bugs)) {
  test(`the unwind cases find ${name}`, async () => {
    const failures = await failuresOf(toyCase(bug));
    expect(failures).not.toEqual([]);
  });
}

async function failuresOf(saga: SagaCase<ToyWorld>): Promise<string[]> {
  const failures: string[] = [];
  for (const { name, run } of await unwindScenarios(saga)) {
    await run().catch(() => failures.push(name));
    if (failures.length > 0) break;
  }
  return failures;
}
