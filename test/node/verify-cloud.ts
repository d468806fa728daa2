import { chmod, mkdtemp, rm } from "node:fs/promises";
import { openDrivers } from "../../src/agent/drivers.ts";
import { newKeyedQueue } from "../../src/agent/keyed-queue.ts";
import { agentRoutes } from "../../src/agent/routes.ts";
import { openApi } from "../../src/api/api.ts";
import { memoryDatastore } from "../../src/datastore/memory/memory-datastore.ts";
import { namesFor } from "../../src/driver/network/netns/names.ts";
import { serverInterceptors } from "../../src/rpc/interceptors.ts";
import { localTransport } from "../../src/rpc/local-transport.ts";
import { systemClock } from "../../src/util/clock.ts";
import { silentLog } from "../../src/util/log.ts";
import { systemRandom } from "../../src/util/random.ts";
import { type Clients, clientsOf } from "../clients.ts";
import { collect } from "../collect.ts";
import { run } from "./compute-world.ts";

export const MIB = 1n << 20n;
const HEARTBEAT_MS = 3_000;

/** The whole control plane over the real drivers of this node, under names that no other test has. */
export interface RealCloud extends Clients, AsyncDisposable {
  readonly id: string;
  readonly prefix: string;
  readonly baseDirectory: string;
  readonly drivers: Awaited<ReturnType<typeof openDrivers>>;
  /** The place of the network `net` on the node. */
  readonly netns: string;
  readonly bridge: string;
  readonly nodeTable: string;
  readonly volumes: string;
  /** libvirt's name of the domain of a virtual machine. */
  domain(name: string): string;
  codes(): Promise<string[]>;
  repair(): Promise<void>;
}

export async function openRealCloud(): Promise<RealCloud> {
  const baseDirectory = await mkdtemp("/tmp/n0v-");
  // QEMU's user must be able to pass through.
  await chmod(baseDirectory, 0o711);
  const id = baseDirectory
    .slice(-6)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "x");
  const prefix = `v${id}-`;
  const names = namesFor(prefix);
  const drivers = await openDrivers(
    {
      baseDirectory,
      libvirtUri: "qemu:///system",
      accelerator: "tcg",
      resourcePrefix: prefix,
      allowedFileFolders: [],
      virtualSizeBytesMax: 1024n ** 4n,
    },
    silentLog,
  );
  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, clock: systemClock, log: silentLog });
  const connectPeer = () => {
    throw new Error("not in this test");
  };
  const deps = { ...drivers, queue, connectPeer, clock: systemClock, log: silentLog };
  const interceptors = serverInterceptors(silentLog);
  const toAgent = localTransport(agentRoutes(deps), { interceptors });
  const opened = await openApi({
    datastore: memoryDatastore(),
    agentTransport: () => toAgent,
    links: { consoleUrl: async ({ name }) => name, downloadUrl: async ({ name }) => name },
    nameservers: [],
    openTransactionsMax: 100,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  const clients = clientsOf(localTransport(opened.routes, { interceptors }));
  const size = { cpuMilliCores: 64_000, memoryBytes: 1n << 36n, storageBytes: 1n << 40n };
  await clients.nodes.applyNode({ name: "node-1", address: "here", ...size });
  const heart = setInterval(() => {
    clients.nodes.heartbeatNode({ name: "node-1" }).catch(() => undefined);
  }, HEARTBEAT_MS);

  return {
    ...clients,
    id,
    prefix,
    baseDirectory,
    drivers,
    netns: names.netnsName("net"),
    bridge: names.bridge("net"),
    nodeTable: names.nodeTable,
    volumes: `${baseDirectory}/volumes`,
    domain: (name) => `${prefix}${name}`,
    codes: async () => (await clients.verify.verify({})).findings.map(({ code }) => code),
    repair: async () => void (await collect(clients.verify.repair({}))),
    async [Symbol.asyncDispose]() {
      clearInterval(heart);
      await opened[Symbol.asyncDispose]();
      end.abort();
      await queue.whenIdle();
      await removeAll(drivers);
      await drivers[Symbol.asyncDispose]();
      await rm(baseDirectory, { recursive: true, force: true });
    },
  };
}

/** Removes what a failed test has left. */
async function removeAll({ compute, network }: RealCloud["drivers"]): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  for (const { name, mark } of await compute.list(signal)) {
    await compute.ensureAbsent(name, { owner: mark.owner }, signal);
  }
  const { taps, networks, strayUplinks } = await network.survey(signal);
  for (const { name, mark, networkName = "none" } of taps) {
    await network.ensureTapAbsent(name, networkName, { owner: mark.owner }, signal);
  }
  for (const { name } of networks) await network.ensureNetworkAbsent(name, signal);
  for (const { networkName } of strayUplinks) await network.sweepNetwork(networkName, signal);
  await network.ensureNodeRules(signal);
}

export const ip = (...args: string[]) => run("ip", ...args);
export const virsh = (...args: string[]) => run("virsh", "-c", "qemu:///system", "-q", ...args);
