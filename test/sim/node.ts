import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import type { AgentDeps } from "../../src/agent/agent-deps.ts";
import { type KeyedQueue, newKeyedQueue } from "../../src/agent/keyed-queue.ts";
import { keepRegistered } from "../../src/agent/registration.ts";
import { agentRoutes } from "../../src/agent/routes.ts";
import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";
import { VolumeAgentService } from "../../src/gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import { serverInterceptors } from "../../src/rpc/interceptors.ts";
import { localTransport } from "../../src/rpc/local-transport.ts";
import { silentLog } from "../../src/util/log.ts";
import { newFakeDrivers } from "../fake-drivers.ts";
import type { FakeDrivers } from "../fake-node.ts";
import { type Dice, randomOf } from "./dice.ts";
import { type NodeFates, simulatedDrivers } from "./drivers.ts";
import type { Endpoint, Network, Served } from "./network.ts";
import { Process, type Timeline } from "./timeline.ts";

export const IMAGE_URL = "http://images.example/disk";

/** The capacity of all nodes together is a little less than the requested amounts. */
export const CAPACITY = {
  cpuMilliCores: 450,
  memoryBytes: 208n << 20n,
  storageBytes: 480n << 20n,
};

function newMachine(): FakeDrivers {
  const drivers = newFakeDrivers();
  drivers.volume.sources.set(IMAGE_URL, blankQcow2(16n << 20n));
  return drivers;
}

export interface SimulatedNodeOptions {
  readonly name: string;
  readonly timeline: Timeline;
  readonly network: Network;
  readonly dice: Dice;
  readonly api: Endpoint;
  readonly peer: (address: string) => Endpoint | undefined;
  readonly wrapQueue: (queue: KeyedQueue) => KeyedQueue;
}

/** A node with the real agent over fake drivers, which outlive the agent. */
export class SimulatedNode implements Endpoint {
  readonly name: string;
  drivers: FakeDrivers = newMachine();
  readonly fates: NodeFates = {
    next: [],
    happened: new Map(),
    stuck: new Set(),
    busy: 0,
    onPress: () => {},
  };
  served: Served | undefined;
  queue: KeyedQueue | undefined;
  /** The number of starts of its agent. */
  starts = 0;
  /** The node will never come back. */
  isScrapped = false;
  #end = new AbortController();
  readonly #options: SimulatedNodeOptions;

  constructor(options: SimulatedNodeOptions) {
    this.#options = options;
    this.name = options.name;
  }

  get address(): string {
    return `${this.name}:20181`;
  }

  /** No work is in progress on it. */
  get isIdle(): boolean {
    return this.fates.busy === 0 && (this.queue === undefined || this.queue.busyKeys === 0);
  }

  start(): void {
    if (this.served !== undefined || this.isScrapped) return;
    const { name, timeline, network, dice, api, wrapQueue } = this.#options;
    this.starts += 1;
    const process = new Process(`${name}#${this.starts}`);
    const end = new AbortController();
    this.#end = end;
    const clock = timeline.clockOf(process);
    this.queue = wrapQueue(newKeyedQueue({ signal: end.signal, clock, log: silentLog }));
    const routes = agentRoutes({
      ...simulatedDrivers(this.drivers, this.fates, process, timeline, dice),
      queue: this.queue,
      connectPeer: (address) => this.#connectPeer(process, address),
      clock,
      log: silentLog,
    });
    const transport = localTransport(routes, {
      interceptors: serverInterceptors(silentLog, "api"),
    });
    this.served = { process, transport };
    const toApi = network.link(process, name, api, () => `${name} registers`);
    void keepRegistered({
      nodes: createClient(NodeService, toApi),
      identity: {
        name,
        address: this.address,
        location: { datacenter: "", availabilityZone: "", cell: "", rack: "", unit: 0 },
        accelerator: "tcg",
        reserveLimits: false,
        version: "simulated",
      },
      readUnderlay: async () => this.#underlay(),
      readFacts: async () => ({ hostname: name, serial: "", ...CAPACITY }),
      clock,
      random: randomOf(dice),
      log: silentLog,
      signal: end.signal,
    });
  }

  #underlay() {
    const underlayAddress = `192.0.2.${this.name.replace(/\D/g, "")}`;
    const underlayMtu = 1500;
    this.drivers.network.hands.underlays.set(underlayAddress, { device: "eth0", mtu: underlayMtu });
    // A node that joins VLANs.
    this.drivers.network.hands.vlans = { device: "eth1", hasTags: true };
    return { underlayAddress, underlayMtu };
  }

  /** Its work is interrupted at any point. */
  crash(): void {
    this.served?.process.kill();
    this.served = undefined;
    this.queue = undefined;
  }

  /** Like a service manager: aborts its work, and waits for it. */
  async stop(): Promise<void> {
    const { served, queue } = this;
    this.#end.abort(new ConnectError("the agent is stopping", Code.Unavailable));
    await queue?.whenIdle();
    if (this.served === served) this.crash();
  }

  scrap(): void {
    this.isScrapped = true;
    this.crash();
  }

  /** Another node takes its name, with nothing on it. */
  replace(): void {
    this.drivers = newMachine();
    this.fates.stuck.clear();
    this.isScrapped = false;
    this.start();
  }

  #connectPeer(process: Process, address: string): ReturnType<AgentDeps["connectPeer"]> {
    const { network, peer } = this.#options;
    const endpoint = peer(address);
    if (endpoint === undefined) throw new ConnectError("no such host", Code.Unavailable);
    const transport: Transport = network.link(process, this.name, endpoint, () => "peer");
    return createClient(VolumeAgentService, transport);
  }
}
