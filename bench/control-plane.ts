import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Transport } from "@connectrpc/connect";
import { type OpenedApi, openApi } from "../src/api/api.ts";
import type { Datastore } from "../src/datastore/datastore.ts";
import { sqliteDatastore } from "../src/datastore/sqlite/sqlite-datastore.ts";
import { listen } from "../src/rpc/listen.ts";
import { API_PORT_DEFAULT, openTransport } from "../src/rpc/transport.ts";
import { openLogFile } from "../src/serve/log-file.ts";
import { systemClock } from "../src/util/clock.ts";
import { openLog } from "../src/util/log.ts";
import { systemRandom } from "../src/util/random.ts";
import { type Clients, clientsOf } from "../test/clients.ts";
import { type FakeNode, newFakeNode } from "../test/fake-node.ts";
import { spread } from "./measurement.ts";

/**
 * The API as n0core serves it: a SQLite file with `synchronous = FULL`, a real socket, and a line of log for
 * each call.
 */
export interface ControlPlane extends Clients, AsyncDisposable {
  readonly url: string;
  readonly opened: OpenedApi;
}

export interface ControlPlaneOptions {
  /** The SQLite file; by default a new one, which is removed at the end. */
  readonly folder?: string;
  readonly openTransactionsMax?: number;
  /** The transport to the node with that address. */
  readonly agentTransport: (address: string) => Transport;
  /** Wraps the datastore of the API. */
  readonly wrapDatastore?: (datastore: Datastore) => Datastore;
}

/** Opens an API and serves it on a free port of the loopback. */
export async function openControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  await using stack = new AsyncDisposableStack();
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "n0-bench-"));
  if (options.folder === undefined) stack.defer(() => rmSync(folder, { recursive: true }));
  const log = openLog({ level: "info", write: openLogFile("/dev/null", 0).write });
  const { wrapDatastore = (datastore) => datastore } = options;
  const opened = stack.use(
    await openApi({
      datastore: wrapDatastore(sqliteDatastore({ path: join(folder, "n0core.sqlite") })),
      agentTransport: options.agentTransport,
      links: { consoleUrl: async ({ name }) => name, downloadUrl: async ({ name }) => name },
      nameservers: [],
      openTransactionsMax: options.openTransactionsMax ?? 1_000,
      clock: systemClock,
      random: systemRandom,
      log,
    }),
  );
  const listener = await listen({ host: "127.0.0.1", port: 0, log, routes: opened.routes });
  stack.defer(() => listener.stop(1_000));
  const transport = openTransport(listener.url, API_PORT_DEFAULT);
  stack.defer(() => transport.close());
  const parts = stack.move();
  return {
    ...clientsOf(transport),
    url: listener.url,
    opened,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

export interface FakeNodes extends AsyncDisposable {
  readonly list: readonly FakeNode[];
  readonly transportTo: (address: string) => Transport;
}

/** Real agents over fake drivers, in this process. */
export function openFakeNodes(count: number): FakeNodes {
  const peers = new Map<string, FakeNode>();
  const list = Array.from({ length: count }, (_, i) =>
    newFakeNode({ peers, address: addressOf(i) }),
  );
  return {
    list,
    transportTo: (address) => peers.get(address)!.transport,
    async [Symbol.asyncDispose]() {
      for (const node of list) await node.stop();
    },
  };
}

const HEARTBEAT_MS = 5_000;

export const nodeName = (index: number) => `node-${index + 1}`;
const addressOf = (index: number) => `${nodeName(index)}:20181`;

export interface Heart extends Disposable {
  /** Sends a heartbeat for every node now: for measurements that leave no time for it. */
  beat(): Promise<void>;
}

/** Registers that many large nodes, and keeps them READY until it is disposed of. */
export async function registerNodes(nodes: Clients["nodes"], count: number): Promise<Heart> {
  for (let i = 0; i < count; i++) {
    await nodes.applyNode({
      name: nodeName(i),
      address: addressOf(i),
      cpuMilliCores: 1_000_000,
      memoryBytes: 1n << 50n,
      storageBytes: 1n << 60n,
    });
  }
  return keepReady(nodes, count);
}

/** Keeps registered nodes READY. */
export function keepReady(nodes: Clients["nodes"], count: number): Heart {
  const beat = async () => {
    await spread(count, 50, (i) => nodes.heartbeatNode({ name: nodeName(i) }));
  };
  // The next heartbeat makes up for a missed one.
  const heart = setInterval(() => void beat().catch(() => undefined), HEARTBEAT_MS);
  return { beat, [Symbol.dispose]: () => clearInterval(heart) };
}

export interface FakeCloud extends ControlPlane {
  readonly fakes: FakeNodes;
  readonly heart: Heart;
}

/** A control plane whose nodes have fake drivers, with a network `net`. */
export async function openFakeCloud(
  nodeCount: number,
  options: Omit<ControlPlaneOptions, "agentTransport"> = {},
): Promise<FakeCloud> {
  await using stack = new AsyncDisposableStack();
  const fakes = stack.use(openFakeNodes(nodeCount));
  const plane = stack.use(
    await openControlPlane({ ...options, agentTransport: fakes.transportTo }),
  );
  const heart = stack.use(await registerNodes(plane.nodes, nodeCount));
  await plane.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/12" });
  const parts = stack.move();
  return { ...plane, fakes, heart, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** A request for a small disk. */
export function diskRequest(name: string) {
  return { name, requestBytes: 1n << 20n, limitBytes: 1n << 30n };
}

/** A request for a small virtual machine with one disk and one nic in `net`. */
export function machineRequest(name: string, disk: string) {
  return {
    name,
    requestCpuMilliCore: 10,
    limitCpuMilliCore: 1000,
    requestMemoryBytes: 64n << 20n,
    limitMemoryBytes: 64n << 20n,
    blockStorageNames: [disk],
    nics: [{ networkName: "net" }],
  };
}
