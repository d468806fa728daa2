import type { Client } from "@connectrpc/connect";
import type { NodeFacts, ReadNodeFacts } from "../driver/node-facts/node-facts.ts";
import type { Node, NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { fromConnectError } from "../rpc/errors.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Clock } from "../util/clock.ts";
import { pause } from "../util/clock.ts";
import type { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import type { Random } from "../util/random.ts";
import type { NodeCapacity } from "./agent-deps.ts";
import type { Location } from "./location.ts";
import type { NodeUnderlay } from "./underlay.ts";

export const AGENT_VERSION_ANNOTATION = "github.com/n0stack/n0stack/n0core/agent_version";

/** What an agent says about its node. */
export interface NodeIdentity {
  readonly name: string;
  /** The address at which the API reaches this agent. Empty: the address that the registration comes from. */
  readonly address: string;
  readonly location: Location;
  readonly accelerator: string;
  /** No overcommitment: the API reserves the limits instead of the requests. */
  readonly reserveLimits: boolean;
  readonly version: string;
  /** Replaces the measured capacity of the node. */
  readonly capacity?: Partial<NodeCapacity>;
}

export interface RegistrationOptions {
  readonly nodes: Client<typeof NodeService>;
  readonly identity: NodeIdentity;
  readonly readFacts: ReadNodeFacts;
  /** Where other nodes send the packets of networks. Default: nowhere. */
  readonly readUnderlay?: () => Promise<NodeUnderlay>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Gets the hashes of the keys that count no longer, from each heartbeat. */
  readonly onRevoked?: (keys: readonly string[]) => void;
  /** Aborts when the agent ends. */
  readonly signal: AbortSignal;
}

const CALL_TIMEOUT_MS = 10_000;
/** A node without a heartbeat for 15 s is NOT_READY, so a heartbeat may not hang for longer than that. */
const HEARTBEAT_TIMEOUT_MS = 5_000;
/** Used if the API gives no interval. */
const HEARTBEAT_INTERVAL_MS = 5_000;
const HEARTBEAT_INTERVAL_MS_MIN = 100;
/** The longest delay is below 15 s, so that a node is back soon after its API. */
const BACKOFF = { firstMs: 250, maxMs: 5_000 };

/**
 * Registers the node at the API and sends heartbeats until `signal` aborts, then resolves. Never gives up:
 *
 *     ▶ registering ──done──▶ beating ──not_found, or no answer──▶ registering
 *         └─failed: backoff─┘    └─each interval─┘
 */
export async function keepRegistered(options: RegistrationOptions): Promise<void> {
  const { clock, random, log, signal } = options;
  let failures = 0;
  let lastFailure: string | undefined;
  while (!signal.aborted) {
    try {
      await register(options);
      log.info("the node is registered", { node: options.identity.name });
      failures = 0;
      lastFailure = undefined;
      await keepBeating(options);
      // Pause here too: an API that forgets nodes at once would otherwise be asked without end.
      await pause(clock, backoffMs(BACKOFF, 1, random), signal);
    } catch (reason) {
      if (signal.aborted) return;
      const error = fromConnectError(reason);
      // While the API is away this repeats for ever, so it is logged once.
      if (error.message !== lastFailure)
        log.warn("cannot register the node, trying again", { error });
      lastFailure = error.message;
      failures += 1;
      if (!(await pause(clock, backoffMs(BACKOFF, failures, random), signal))) return;
    }
  }
}

async function register(options: RegistrationOptions): Promise<void> {
  const { nodes, identity, readFacts, signal } = options;
  const { name, address, accelerator, reserveLimits, version, location } = identity;
  const facts: NodeFacts = { ...(await readFacts()), ...identity.capacity };
  const underlay = await options.readUnderlay?.();
  const call = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const before = await findNode(nodes, name, call);
  await nodes.applyNode(
    {
      name,
      // Users set labels and annotations too.
      labels: before?.labels ?? {},
      annotations: { ...before?.annotations, [AGENT_VERSION_ANNOTATION]: version },
      address,
      ipmiAddress: before?.ipmiAddress ?? "",
      serial: facts.serial,
      cpuMilliCores: facts.cpuMilliCores,
      memoryBytes: facts.memoryBytes,
      storageBytes: facts.storageBytes,
      ...location,
      reserveLimits,
      accelerator,
      ...underlay,
    },
    call,
  );
}

async function findNode(
  nodes: Client<typeof NodeService>,
  name: string,
  call: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Node | undefined> {
  try {
    return await nodes.getNode({ name }, call);
  } catch (reason) {
    if (fromConnectError(reason).kind === "not_found") return undefined;
    throw reason;
  }
}

/** Resolves when the API does not know the node, or `signal` aborts. @throws when the API does not answer. */
async function keepBeating(options: RegistrationOptions): Promise<void> {
  const { nodes, identity, clock, log, signal } = options;
  const { name } = identity;
  for (;;) {
    let intervalMs: number;
    try {
      const call = { signal, timeoutMs: HEARTBEAT_TIMEOUT_MS };
      const answer = await nodes.heartbeatNode({ name }, call);
      intervalMs = answer.intervalMilliseconds;
      options.onRevoked?.(answer.revokedKeys);
    } catch (reason) {
      const error: N0Error = fromConnectError(reason);
      if (error.kind !== "not_found") throw error;
      log.info("the API has forgotten the node", { node: name });
      return;
    }
    const waitMs =
      intervalMs === 0 ? HEARTBEAT_INTERVAL_MS : Math.max(HEARTBEAT_INTERVAL_MS_MIN, intervalMs);
    if (!(await pause(clock, waitMs, signal))) return;
  }
}
