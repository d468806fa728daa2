import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { AgentDeps, NodeCapacity, VolumePeer } from "../src/agent/agent-deps.ts";
import type { KeyedQueue } from "../src/agent/keyed-queue.ts";
import { newKeyedQueue } from "../src/agent/keyed-queue.ts";
import { agentRoutes } from "../src/agent/routes.ts";
import type { FakeComputeDriver } from "../src/driver/compute/fake/fake-compute.ts";
import type { FakeNetworkDriver } from "../src/driver/network/fake-network-driver.ts";
import type { FakeSeedDriver } from "../src/driver/seed/fake-seed-driver.ts";
import type { FakeVolumeDriver } from "../src/driver/volume/fake-volume-driver.ts";
import type { SurveyResponse } from "../src/gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VolumeAgentService } from "../src/gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { serverInterceptors } from "../src/rpc/interceptors.ts";
import { localTransport } from "../src/rpc/local-transport.ts";
import type { Clock } from "../src/util/clock.ts";
import { systemClock } from "../src/util/clock.ts";
import type { Log } from "../src/util/log.ts";
import { silentLog } from "../src/util/log.ts";
import { newFakeDrivers } from "./fake-drivers.ts";

export interface FakeDrivers {
  readonly compute: FakeComputeDriver;
  readonly volume: FakeVolumeDriver;
  readonly network: FakeNetworkDriver;
  readonly seed: FakeSeedDriver;
}

/** A node in this process: the real agent over fake drivers. */
export interface FakeNode {
  readonly address: string;
  readonly drivers: FakeDrivers;
  /** Reaches the agent, also after a restart. Messages are serialized, as on a wire. */
  readonly transport: Transport;
  /** The capacity that the agent reports; undefined: none. */
  capacity: NodeCapacity | undefined;
  /** While true nothing reaches the agent: calls fail with `unavailable`. Running work goes on. */
  isDown: boolean;
  /** False as for an agent of a version without security groups. */
  knowsGroups: boolean;
  /** The same without user data. */
  knowsUserData: boolean;
  /** The drivers of the running agent. */
  readonly queue: KeyedQueue;
  /** Everything on the node, as plain data, to compare it before and after. */
  snapshot(): FakeNodeSnapshot;
  /** Ends the agent and starts another on the same node. The things on the node stay, and nothing else. */
  restart(): Promise<void>;
  /** Ends the agent. Resolves when nothing runs on the node. */
  stop(): Promise<void>;
}

export type FakeNodeSnapshot = ReturnType<typeof snapshotOf>;

export interface FakeNodeOptions {
  readonly address?: string;
  /** The addresses by which this node's agent and the others find each other. */
  readonly peers?: Map<string, FakeNode>;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** Starts an agent on a fresh fake node. */
export function newFakeNode(options: FakeNodeOptions = {}): FakeNode {
  const { address = "node-1:20181", peers = new Map<string, FakeNode>() } = options;
  const { clock = systemClock, log = silentLog } = options;
  const drivers = newFakeDrivers();

  const connectPeer = (peerAddress: string): VolumePeer => {
    const peer = peers.get(peerAddress);
    if (peer === undefined) throw new ConnectError("no such host", Code.Unavailable);
    return createClient(VolumeAgentService, peer.transport);
  };
  const readCapacity = () => node.capacity;
  const start = () => startAgent(drivers, { connectPeer, clock, log, readCapacity });
  let agent = start();

  const reach = (): Transport => {
    if (node.isDown) throw new ConnectError("connection refused", Code.Unavailable);
    return agent.transport;
  };
  const node: FakeNode = {
    address,
    drivers,
    transport: {
      unary: async (...call) => {
        const answer = await reach().unary(...call);
        const told = node.knowsUserData ? answer.message : withoutUserData(answer.message);
        return { ...answer, message: node.knowsGroups ? told : withoutGroups(told) };
      },
      stream: async (...call) => await reach().stream(...call),
    },
    capacity: undefined,
    isDown: false,
    knowsGroups: true,
    knowsUserData: true,
    get queue() {
      return agent.queue;
    },
    snapshot: () => snapshotOf(drivers),
    async restart() {
      await agent.stop();
      agent = start();
    },
    stop: () => agent.stop(),
  };
  peers.set(address, node);
  return node;
}

/** The same, if it is about a seed, by an agent that does not read the field. */
function withoutUserData<T extends object>(message: T): T {
  return "hasUserData" in message ? { ...message, hasUserData: false } : message;
}

/** The same, if it is a survey, by an agent that says nothing of security groups. */
function withoutGroups<T extends object>(message: T): T {
  const { taps, networks } = message as Partial<SurveyResponse>;
  for (const found of [...(taps ?? []), ...(networks ?? [])]) {
    if (found.$typeName.includes("Surveyed")) delete found.groups;
  }
  return message;
}

/** `count` nodes, `node-1:20181` and so on, whose agents reach each other. */
export function newFakeNodes(count: number, options: Omit<FakeNodeOptions, "address"> = {}) {
  const peers = options.peers ?? new Map<string, FakeNode>();
  return Array.from({ length: count }, (_, n) =>
    newFakeNode({ ...options, peers, address: `node-${n + 1}:20181` }),
  );
}

function startAgent(
  drivers: FakeDrivers,
  outside: Omit<AgentDeps, keyof FakeDrivers | "queue" | "segments">,
) {
  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, clock: outside.clock, log: outside.log });
  const transport = localTransport(agentRoutes({ ...drivers, queue, ...outside }), {
    interceptors: serverInterceptors(outside.log, "api"),
    shutdownSignal: end.signal,
  });
  const stop = async () => {
    end.abort(new ConnectError("the agent is stopping", Code.Unavailable));
    await queue.whenIdle();
  };
  return { queue, transport, stop };
}

function snapshotOf({ compute, volume, network, seed }: FakeDrivers) {
  return {
    compute: compute.snapshot(),
    volumes: volume.snapshot(),
    network: network.snapshot(),
    seeds: Object.fromEntries(seed.seeds),
  };
}
