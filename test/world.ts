import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Transport } from "@connectrpc/connect";
import { type ApiOptions, type OpenedApi, openApi } from "../src/api/api.ts";
import type { Amounts } from "../src/api/pool/inventory/amounts.ts";
import { caughtUp, type Datastore } from "../src/datastore/datastore.ts";
import { lateDelivery } from "../src/datastore/late-delivery.ts";
import { memoryDatastore } from "../src/datastore/memory/memory-datastore.ts";
import { sessionCollection } from "../src/datastore/sessions.ts";
import { sqliteDatastore } from "../src/datastore/sqlite/sqlite-datastore.ts";
import { serverInterceptors } from "../src/rpc/interceptors.ts";
import { localTransport } from "../src/rpc/local-transport.ts";
import { type Faults, noFaults } from "../src/transaction/faults.ts";
import { type Clock, systemClock } from "../src/util/clock.ts";
import { defined } from "../src/util/defined.ts";
import { type Log, silentLog } from "../src/util/log.ts";
import { systemRandom } from "../src/util/random.ts";
import { type Clients, clientsOf } from "./clients.ts";
import { type FakeNode, newFakeNode } from "./fake-node.ts";
import { isAlwaysThere, isHistory } from "./history.ts";
import { DELIVERS_LATE, SEED } from "./seeds.ts";
import { newDice } from "./sim/dice.ts";

/** A whole control plane in one process: a real SQLite file, real transactions, nodes with fake drivers. */
export interface World extends Clients, AsyncDisposable {
  readonly fakeNodes: readonly FakeNode[];
  readonly transport: Transport;
  /** The present API; a restart replaces it. */
  readonly opened: OpenedApi;
  /** Set it to cause faults in every transaction that begins later. */
  faults: Faults;
  /** Everything that a request could leave behind: records, locks, and things on the nodes. */
  residue(): Promise<Residue>;
  /** Resolves when the API has seen everything that is written: for a test that looks at its memory. */
  seen(): Promise<void>;
  /** The amounts that the API counts as used on a node. */
  usedOn(nodeName: string): Promise<Amounts>;
  /**
   * As if the API process had died and started again: opens it again on the same file, and brings the open
   * transactions to rest, with these faults. The work of the old process is abandoned.
   */
  restart(faults?: Faults): Promise<void>;
}

export interface Residue {
  readonly records: { readonly [key: string]: string };
  readonly nodes: readonly unknown[];
  readonly locks: number;
  /** The transactions that the process runs. */
  readonly inHand: number;
}

export interface WorldOptions {
  readonly nodeCount?: number;
  readonly openTransactionsMax?: number;
  readonly clock?: Clock;
  /** The clock of the agents; by default the system's. */
  readonly nodeClock?: Clock;
  readonly idempotencyRetentionMs?: number;
  readonly storageRequestRatioMin?: number;
  /** Whether the API sees writes some time later, as with a datastore on another host. */
  readonly deliversLate?: boolean;
  /** Keeps the records in memory, where they outlive a restart of the API but not the world. Faster. */
  readonly inMemory?: boolean;
  /** Whether, and how, nodes join. Default: not at all. */
  readonly joining?: ApiOptions["joining"];
  /** A database file to begin with. */
  readonly database?: Uint8Array;
  /** Default: nothing is logged. */
  readonly log?: Log;
}

const LATE = { clock: systemClock, random: newDice(SEED), delayMsMax: 10 };

const HEARTBEAT_MS = 3_000;

/** A wait takes a twentieth of its time. */
export const hurried: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
};

export async function newWorld({
  nodeCount = 1,
  openTransactionsMax = 1_000,
  clock = systemClock,
  nodeClock = systemClock,
  idempotencyRetentionMs,
  storageRequestRatioMin = 0,
  deliversLate = DELIVERS_LATE,
  inMemory = false,
  joining,
  database,
  log = silentLog,
}: WorldOptions = {}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "n0-world-"));
  const memory = memoryDatastore();
  if (database !== undefined) writeFileSync(join(folder, "n0core.sqlite"), database);
  const peers = new Map<string, FakeNode>();
  const fakeNodes = Array.from({ length: nodeCount }, (_, i) =>
    newFakeNode({ peers, address: `node-${i + 1}:20181`, clock: nodeClock }),
  );
  let datastore: Datastore;
  const open = async () => {
    const own = inMemory ? memory : sqliteDatastore({ path: join(folder, "n0core.sqlite") });
    datastore = deliversLate ? await lateDelivery(own, LATE) : own;
    return await openApi({
      datastore,
      agentTransport: (address) => peers.get(address)!.transport,
      joinedTransport: (address) => peers.get(address)!.transport,
      ...defined({ joining }),
      links: {
        consoleUrl: async ({ name }) => `http://test/${name}`,
        downloadUrl: async ({ name }) => `http://test/${name}`,
      },
      nameservers: ["192.0.2.53"],
      openTransactionsMax,
      storageRequestRatioMin,
      ...defined({ idempotencyRetentionMs }),
      clock,
      random: systemRandom,
      log,
      faults: (place) => world.faults(place),
      giveUpAfterMs: 0,
    });
  };
  const serve = (opened: OpenedApi) =>
    localTransport(opened.routes, { interceptors: serverInterceptors(log) });
  let opened!: OpenedApi;
  let transport!: Transport;
  // Goes to the process that exists at the moment of the call.
  const route: Transport = {
    unary: (...call) => transport.unary(...call),
    stream: (...call) => transport.stream(...call),
  };
  const world: World = {
    ...clientsOf(route),
    fakeNodes,
    transport: route,
    faults: () => {},
    get opened() {
      return opened;
    },
    async residue() {
      await opened.api.segments.atRest();
      await opened.api.groupPushes.atRest();
      const entries = (await datastore.list("")).filter(
        ({ key }) =>
          !isHistory(key) && !key.startsWith(sessionCollection.prefix) && !isAlwaysThere(key),
      );
      return {
        records: Object.fromEntries(
          entries.map(({ key, value }) => [key, Buffer.from(value).toString("latin1")]),
        ),
        nodes: fakeNodes.map((node) => node.snapshot()),
        locks: (await opened.api.locks.list()).length,
        inHand: opened.api.engine.live.all().length,
      };
    },
    seen: () => caughtUp(datastore),
    async usedOn(nodeName) {
      await caughtUp(datastore);
      return opened.api.inventory.get(nodeName).used;
    },
    async restart(faults = noFaults) {
      world.faults = faults;
      await opened[Symbol.asyncDispose]();
      opened = await open();
      transport = serve(opened);
      await opened.api.engine.settled();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(heart);
      await opened[Symbol.asyncDispose]();
      for (const node of fakeNodes) await node.stop();
      rmSync(folder, { recursive: true });
    },
  };
  opened = await open();
  transport = serve(opened);
  // Does the work of the agents' registration, for tests that take long. A deleted node is refused.
  const heart = setInterval(() => {
    for (const [i, node] of fakeNodes.entries()) {
      if (!node.isDown) world.nodes.heartbeatNode({ name: `node-${i + 1}` }).catch(() => undefined);
    }
  }, HEARTBEAT_MS);
  for (const [i, { address }] of fakeNodes.entries()) {
    await world.nodes.applyNode({
      name: `node-${i + 1}`,
      address,
      cpuMilliCores: 64_000,
      memoryBytes: 256n << 30n,
      storageBytes: 4096n << 30n,
      ...underlayOf(i, fakeNodes[i]!),
    });
  }
  await world.seen();
  return world;
}

/** The address by which the other nodes know this one. */
function underlayOf(index: number, { drivers }: FakeNode) {
  const underlayAddress = `192.0.2.${index + 1}`;
  const underlayMtu = 1500;
  drivers.network.hands.underlays.set(underlayAddress, { device: "eth0", mtu: underlayMtu });
  return { underlayAddress, underlayMtu };
}

export type Unary = Transport["unary"];

/** The same world, whose clients use the transport that `wrap` returns. */
export function through(world: World, wrap: (unary: Unary) => Unary): World {
  const { unary, stream } = world.transport;
  const transport = { unary: wrap(unary), stream };
  return Object.assign(Object.create(world), { transport }, clientsOf(transport));
}

/** The same world, whose clients send these headers. */
export function withHeaders(world: World, headers: Readonly<Record<string, string>>): World {
  const { unary, stream } = world.transport;
  const transport: Transport = {
    unary: (method, signal, timeoutMs, others, input, values) =>
      unary(method, signal, timeoutMs, withOthers(headers, others), input, values),
    stream: (method, signal, timeoutMs, others, input, values) =>
      stream(method, signal, timeoutMs, withOthers(headers, others), input, values),
  };
  return Object.assign(Object.create(world), { transport }, clientsOf(transport));
}

/** Those of the call win. */
function withOthers(
  headers: Readonly<Record<string, string>>,
  others: ConstructorParameters<typeof Headers>[0],
) {
  const all = new Headers(headers);
  for (const [name, value] of new Headers(others)) all.set(name, value);
  return all;
}
