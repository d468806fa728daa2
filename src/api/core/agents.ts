import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { NetworkAgentService } from "../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { SurveyAgentService } from "../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VolumeAgentService } from "../../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { onNode } from "../../rpc/errors.ts";
import { N0Error } from "../../util/errors.ts";

/** The agent of one node. Each call has a time limit. Its errors use the terms of the user's request. */
export interface Agent {
  readonly nodeName: string;
  readonly address: string;
  compute<T>(call: (client: Client<typeof ComputeAgentService>) => Promise<T>): Promise<T>;
  volume<T>(call: (client: Client<typeof VolumeAgentService>) => Promise<T>): Promise<T>;
  network<T>(call: (client: Client<typeof NetworkAgentService>) => Promise<T>): Promise<T>;
  survey<T>(call: (client: Client<typeof SurveyAgentService>) => Promise<T>): Promise<T>;
}

interface Clients {
  readonly address: string;
  readonly hasJoined: boolean;
  readonly compute: Client<typeof ComputeAgentService>;
  readonly volume: Client<typeof VolumeAgentService>;
  readonly network: Client<typeof NetworkAgentService>;
  readonly survey: Client<typeof SurveyAgentService>;
}

export interface AgentsOptions {
  /** Opens a transport to an agent, by the address and name of its node. */
  readonly agentTransport: (address: string, nodeName: string) => Transport;
  /**
   * Opens a transport to the server at an address that a client has named. It sends no token, and `close` ends
   * it. Default: `agentTransport`.
   */
  readonly untrustedTransport?: (address: string, nodeName: string) => UntrustedTransport;
  /** The token that `agentTransport` sends, and that an agent must prove to have. Default: no proof. */
  readonly agentToken?: string;
  /**
   * Opens a transport to the agent of a node that has joined. Its connection exists only if the agent has the
   * node's certificate, and shows that of the API. Undefined if the API has no certificate.
   */
  readonly joinedTransport?: (address: string, nodeName: string) => UntrustedTransport;
}

interface UntrustedTransport extends Transport {
  close?(): void;
}

/** The state of the nodes. */
export interface NodeBook {
  find(name: string):
    | {
        readonly node: { readonly address: string; readonly lost: boolean };
        readonly isReady: boolean;
      }
    | undefined;
}

/** Finds the agent of a node by the node's name. */
export class Agents {
  readonly #nodes: NodeBook;
  readonly #options: AgentsOptions;
  readonly #hasJoined: (nodeName: string) => boolean;
  /** By node, each with its latest address only. */
  readonly #clients = new Map<string, Clients>();

  constructor(
    nodes: NodeBook,
    options: AgentsOptions,
    hasJoined: (nodeName: string) => boolean = () => false,
  ) {
    this.#nodes = nodes;
    this.#hasJoined = hasJoined;
    this.#options = options;
  }

  get agentToken(): string | undefined {
    return this.#options.agentToken;
  }

  /**
   * For a question to the server at the address. `isProven` if its connection proves that it is the node's
   * agent.
   *
   * @throws N0Error `invalid_argument` if it is not an address.
   */
  openUntrusted(
    address: string,
    nodeName: string,
  ): Disposable & { readonly transport: Transport; readonly isProven: boolean } {
    const { agentTransport, untrustedTransport = agentTransport } = this.#options;
    const isProven = this.#hasJoined(nodeName);
    const transport: UntrustedTransport = isProven
      ? this.#joined(address, nodeName)
      : untrustedTransport(address, nodeName);
    return { transport, isProven, [Symbol.dispose]: () => transport.close?.() };
  }

  /** Whether the agent of a node must prove its address. */
  mustProve(nodeName: string): boolean {
    return this.agentToken !== undefined || this.#hasJoined(nodeName);
  }

  #joined(address: string, nodeName: string): UntrustedTransport {
    const { joinedTransport } = this.#options;
    if (joinedTransport !== undefined) return joinedTransport(address, nodeName);
    throw new N0Error(
      "failed_precondition",
      `node "${nodeName}" has joined by a certificate, and this API has no certificate authority: restore the ` +
        "folder authority of its base directory",
      { resource: `node/${nodeName}` },
    );
  }

  /**
   * Whether the node counts as gone with everything that was on it: declared lost, or deleted. Then there is
   * nothing to remove there, and nothing to wait for.
   */
  isLost(nodeName: string): boolean {
    return this.#nodes.find(nodeName)?.node.lost ?? true;
  }

  /**
   * @throws N0Error `failed_precondition` for a deleted or lost node; `unavailable` for a silent one.
   */
  get(nodeName: string): Agent {
    const view = this.#nodes.find(nodeName);
    if (view === undefined) {
      throw new N0Error("failed_precondition", `node "${nodeName}" does not exist any more`, {
        resource: `node/${nodeName}`,
      });
    }
    if (view.node.lost) throw lost(nodeName);
    if (!view.isReady) {
      throw new N0Error(
        "unavailable",
        `node "${nodeName}" is NOT_READY: its agent sends no heartbeats`,
        {
          resource: `node/${nodeName}`,
          retryAfterMs: 5_000,
        },
      );
    }
    const { address } = view.node;
    const { compute, volume, network, survey } = this.#clientsOf(nodeName, address);
    return {
      nodeName,
      address,
      compute: (call) => onNode(nodeName, () => call(compute)),
      volume: (call) => onNode(nodeName, () => call(volume)),
      network: (call) => onNode(nodeName, () => call(network)),
      survey: (call) => onNode(nodeName, () => call(survey)),
    };
  }

  /** The plain clients, for streams that outlive a call. */
  clients(nodeName: string): Clients {
    return this.#clientsOf(nodeName, this.get(nodeName).address);
  }

  #clientsOf(nodeName: string, address: string): Clients {
    let clients = this.#clients.get(nodeName);
    const hasJoined = this.#hasJoined(nodeName);
    if (clients?.address !== address || clients.hasJoined !== hasJoined) {
      const transport = hasJoined
        ? this.#joined(address, nodeName)
        : this.#options.agentTransport(address, nodeName);
      clients = {
        address,
        hasJoined,
        compute: createClient(ComputeAgentService, transport),
        volume: createClient(VolumeAgentService, transport),
        network: createClient(NetworkAgentService, transport),
        survey: createClient(SurveyAgentService, transport),
      };
      this.#clients.set(nodeName, clients);
    }
    return clients;
  }
}

/** The error for a request that needs a node that an operator has declared lost. */
export function lost(nodeName: string): N0Error {
  return new N0Error(
    "failed_precondition",
    `node "${nodeName}" was declared lost: if it is back, run "n0cli node found ${nodeName}"`,
    { resource: `node/${nodeName}` },
  );
}
