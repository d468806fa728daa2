import {
  type Collection,
  jsonCollection,
  put,
  putNew,
  remove,
} from "../src/datastore/collection.ts";
import type { Datastore, Writes } from "../src/datastore/datastore.ts";
import { ConflictError } from "../src/datastore/datastore.ts";
import { datastoreJournal } from "../src/datastore/datastore-journal.ts";
import type { HeldObjects } from "../src/datastore/held-objects.ts";
import { LockTable } from "../src/datastore/lock-table.ts";
import { Records } from "../src/datastore/records.ts";
import { DatastoreSessions } from "../src/datastore/sessions.ts";
import { type RunOptions, TransactionEngine } from "../src/transaction/engine.ts";
import { type Faults, noFaults } from "../src/transaction/faults.ts";
import type { Journal, StepRow, TransactionHeader } from "../src/transaction/journal.ts";
import type { Locks } from "../src/transaction/locks.ts";
import { StepRegistry } from "../src/transaction/registry.ts";
import { later, type Retriable, type Step } from "../src/transaction/step.ts";
import type { TakeOver } from "../src/transaction/taking-over.ts";
import type { Transaction } from "../src/transaction/transaction.ts";
import { type Clock, systemClock } from "../src/util/clock.ts";
import { N0Error } from "../src/util/errors.ts";
import { systemRandom } from "../src/util/random.ts";

/** Outlives a process that dies: the things on a node, each with the transaction that made it. */
export interface ToyNode {
  readonly things: Map<string, string>;
  readonly drafts: Map<string, string>;
  readonly announced: Set<string>;
  /** `act toy.make_thing`, `undo toy.make_thing`, in the order in which they began. */
  readonly log: string[];
  /** Called when an action begins, with its line of the log. */
  trouble: (line: string, signal: AbortSignal) => void | Promise<void>;
}

export interface ToyContext {
  readonly datastore: Datastore;
  readonly node: ToyNode;
}

export type ToyInput = { readonly name: string };
export type ToyStep = Step<ToyContext, ToyInput>;
export type ToyRetriable = Retriable<ToyContext, ToyInput>;
export type ToyTransaction = Transaction<ToyContext, Writes>;

export const slots: Collection<{ owner: string }> = jsonCollection("slot");
export const toys: Collection<{ state: string }> = jsonCollection("toy");

/** Takes a slot in the datastore. */
export const takeSlot: ToyStep = {
  name: "toy.take_slot",
  async act({ datastore, node }, { name }, { transactionId, signal }) {
    await begin(node, "act toy.take_slot", signal);
    const found = await new Records(datastore).find(slots, name);
    if (found?.value.owner === transactionId) return;
    try {
      await datastore.batch(putNew(slots, [name], { owner: transactionId }));
    } catch (cause) {
      if (!(cause instanceof ConflictError)) throw cause;
      throw new N0Error("already_exists", `slot "${name}" is taken`, { cause });
    }
  },
  async undo({ datastore, node }, { name }, { transactionId, signal }) {
    await begin(node, "undo toy.take_slot", signal);
    const found = await new Records(datastore).find(slots, name);
    if (found?.value.owner === transactionId) await datastore.batch(remove(slots, name));
  },
};

/** Makes a thing on the node, and a draft that is removed after the commit. */
export const makeThing: ToyStep = {
  name: "toy.make_thing",
  async act({ node }, { name }, { transactionId, signal }) {
    await begin(node, "act toy.make_thing", signal);
    node.drafts.set(name, transactionId);
    node.things.set(name, transactionId);
  },
  async undo({ node }, { name }, { transactionId, signal }) {
    await begin(node, "undo toy.make_thing", signal);
    if (node.things.get(name) === transactionId) node.things.delete(name);
    if (node.drafts.get(name) === transactionId) node.drafts.delete(name);
  },
};

/** Makes something that depends on the thing. Undoing the thing first would be wrong. */
export const paintThing: ToyStep = {
  name: "toy.paint_thing",
  async act({ node }, { name }, { transactionId, signal }) {
    await begin(node, "act toy.paint_thing", signal);
    node.things.set(`${name} paint`, transactionId);
  },
  async undo({ node }, { name }, { transactionId, signal }) {
    await begin(node, "undo toy.paint_thing", signal);
    if (node.things.get(`${name} paint`) === transactionId) node.things.delete(`${name} paint`);
  },
};

export const sweepDraft: ToyRetriable = {
  name: "toy.sweep_draft",
  async act({ node }, { name }, { signal }) {
    await begin(node, "act toy.sweep_draft", signal);
    node.drafts.delete(name);
  },
};

export const announce: ToyRetriable = {
  name: "toy.announce",
  async act({ node }, { name }, { signal }) {
    await begin(node, "act toy.announce", signal);
    node.announced.add(name);
  },
};

async function begin(node: ToyNode, line: string, signal: AbortSignal): Promise<void> {
  node.log.push(line);
  await node.trouble(line, signal);
}

export interface ToyOptions {
  /** Opens the datastore, also after a restart. */
  readonly open: () => Datastore;
  readonly clock?: Clock;
  readonly openMax?: number;
  /** The parts that processes share which share the datastore. */
  readonly shared?: { readonly locks: LockTable; readonly node: ToyNode };
  /** Replaces the steps of the same name. */
  readonly steps?: readonly ToyStep[];
  readonly retriables?: readonly ToyRetriable[];
  /** Between the engine and the journal. */
  readonly wrapJournal?: (journal: Journal<Writes>) => Journal<Writes>;
  /** Between the end of a transaction and its locks. */
  readonly wrapOnRest?: (onRest: () => Promise<void>) => () => Promise<void>;
  readonly saga?: (tx: ToyTransaction, name: string, steps: ToySteps) => Promise<string>;
}

export interface ToySteps {
  step(of: ToyStep): ToyStep;
  retriable(of: ToyRetriable): ToyRetriable;
}

/** A process that runs toy sagas on records and a node that outlive it. */
export interface ToyWorld extends AsyncDisposable {
  readonly node: ToyNode;
  readonly datastore: Datastore;
  readonly engine: TransactionEngine<ToyContext, Writes>;
  readonly locks: Locks<HeldObjects>;
  readonly sessions: DatastoreSessions;
  /** Every change of a header that the engine reported. */
  readonly changes: readonly TransactionHeader[];
  faults: Faults;
  create(name: string, cancel?: AbortSignal): Promise<string>;
  run<T>(
    saga: (tx: ToyTransaction) => Promise<T>,
    options?: Partial<RunOptions<ToyContext, Writes>>,
  ): Promise<T>;
  /** Like a graceful stop: ends the waits, and waits for everything else. */
  stop(): Promise<void>;
  /** As if the process had died and another had started. Recovers; `engine.settled()` waits for that. */
  restart(faults?: Faults): Promise<number>;
  /** Takes over the open transactions of ended sessions. */
  recover(): Promise<number>;
  /** Retries a transaction that needs an operator. */
  retry(id: string): Promise<unknown>;
  headers(): Promise<readonly TransactionHeader[]>;
  journal(): Journal<Writes>;
  lastSteps(): Promise<readonly StepRow[]>;
  residue(): Promise<unknown>;
}

export async function toySaga(tx: ToyTransaction, name: string, { step, retriable }: ToySteps) {
  await tx.run(step(takeSlot), { name });
  await tx.run(step(makeThing), { name });
  await tx.run(step(paintThing), { name });
  await tx.commit(
    put(toys, [name], { state: "made" }),
    later(retriable(sweepDraft), { name }),
    later(retriable(announce), { name }),
  );
  return name;
}

export function newToyNode(): ToyNode {
  return {
    things: new Map([["other", "somebody"]]),
    drafts: new Map([["other", "somebody"]]),
    announced: new Set(["other"]),
    log: [],
    trouble: () => {},
  };
}

/** With another owner's thing, slot and draft in it. */
export async function newToyWorld(options: ToyOptions): Promise<ToyWorld> {
  const { open, saga = toySaga, wrapJournal = (same) => same } = options;
  const { wrapOnRest = (same) => same, clock = systemClock, openMax = 100 } = options;
  const steps: ToySteps = {
    step: (of) => options.steps?.find(({ name }) => name === of.name) ?? of,
    retriable: (of) => options.retriables?.find(({ name }) => name === of.name) ?? of,
  };
  const registry = new StepRegistry<ToyContext>()
    .add(...[takeSlot, makeThing, paintThing].map(steps.step))
    .addRetriable(...[sweepDraft, announce].map(steps.retriable));
  const node: ToyNode = options.shared?.node ?? newToyNode();
  const changes: TransactionHeader[] = [];

  async function start() {
    const shutdown = new AbortController();
    const datastore = open();
    const id = systemRandom.uuid();
    const isAlone = options.shared === undefined;
    const sessions = await DatastoreSessions.start({ datastore, clock, id, isAlone });
    const locks = (options.shared?.locks ?? new LockTable()).of(id);
    const engine = new TransactionEngine<ToyContext, Writes>({
      journal: wrapJournal(datastoreJournal(datastore)),
      registry,
      sessions,
      locks,
      faults: (place) => world.faults(place),
      clock,
      random: systemRandom,
      shutdown: shutdown.signal,
      openMax,
      giveUpAfterMs: 0,
      onChange: (header) => changes.push(header),
    });
    return { shutdown, datastore, engine, locks, sessions };
  }
  let process = await start();
  const takeOver: TakeOver<ToyContext> = async (header, takesOverFrom) => {
    const { guards, kind: action, id: transactionId } = header;
    const { datastore, locks } = process;
    const held = await locks.acquire(guards, { action, transactionId, takesOverFrom });
    return { context: { datastore, node }, onRest: wrapOnRest(() => held.release()) };
  };

  const world: ToyWorld = {
    node,
    changes,
    faults: noFaults,
    get datastore() {
      return process.datastore;
    },
    get engine() {
      return process.engine;
    },
    get locks() {
      return process.locks;
    },
    get sessions() {
      return process.sessions;
    },
    create: async (name, cancel = new AbortController().signal) => {
      const { locks, engine } = process;
      const guards = [toys.key(name)];
      const live = engine.enter({ kind: "CreateToy", guards });
      const asker = { action: "CreateToy", transactionId: live.id };
      const held = await locks.acquire(guards, asker).catch((reason: unknown) => {
        engine.live.remove(live);
        throw reason;
      });
      const onRest = wrapOnRest(() => held.release());
      return await world.run((tx) => saga(tx, name, steps), { guards, cancel, onRest, live });
    },
    run: (body, given = {}) => {
      const { engine, datastore } = process;
      const cancel = new AbortController().signal;
      const context = { datastore, node };
      const onRest = () => {};
      return engine.run({ kind: "CreateToy", guards: [], context, cancel, onRest, ...given }, body);
    },
    async stop() {
      process.shutdown.abort(new Error("stopping"));
      await process.engine.settled();
    },
    async restart(faults = noFaults) {
      world.faults = noFaults;
      await world.stop();
      await process.datastore[Symbol.asyncDispose]();
      world.faults = faults;
      process = await start();
      return await world.recover();
    },
    recover: () => process.engine.takingOver.recover(takeOver),
    retry: (id) => process.engine.takingOver.retry(id, takeOver),
    async headers() {
      const entries = await process.datastore.list("transaction/");
      return entries.map(({ value }) => JSON.parse(Buffer.from(value).toString()));
    },
    journal: () => datastoreJournal(process.datastore),
    async lastSteps() {
      const last = (await world.headers()).at(-1);
      return last === undefined ? [] : await world.journal().listSteps(last.id);
    },
    async residue() {
      const entries = await process.datastore.list("");
      return {
        records: entries
          .filter(({ key }) => !/^(session|transaction|transaction_step)\//.test(key))
          .map(({ key, value }) => [key, Buffer.from(value).toString()]),
        things: Object.fromEntries(node.things),
        drafts: Object.fromEntries(node.drafts),
        announced: [...node.announced],
        locks: (await process.locks.list()).length,
      };
    },
    async [Symbol.asyncDispose]() {
      await world.stop();
      await process.datastore[Symbol.asyncDispose]();
    },
  };
  await process.datastore.batch(put(slots, ["other"], { owner: "somebody" }));
  return world;
}
