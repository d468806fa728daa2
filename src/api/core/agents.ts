import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { NetworkAgentService } from "../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { SurveyAgentService } from "../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VolumeAgentService } from "../../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { onNode } from "../../rpc/errors.ts";
import { N0Error } from "../../util/errors.ts";

/** The agent of one node. Each call is bounded and fails in words of the user's request. */
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
  readonly compute: Client<typeof ComputeAgentService>;
  readonly volume: Client<typeof VolumeAgentService>;
  readonly network: Client<typeof NetworkAgentService>;
  readonly survey: Client<typeof SurveyAgentService>;
}

export interface AgentsOptions {
  /** The way to an agent, by the address and name of its node. */
  readonly agentTransport: (address: string, nodeName: string) => Transport;
  /**
   * The way to whoever is at an address that a client has named. It bears no token, and `close` ends it.
   * Default: `agentTransport`.
   */
  readonly untrustedTransport?: (address: string, nodeName: string) => UntrustedTransport;
  /** What `agentTransport` sends, and what an agent must prove that it holds. Default: nothing is proven. */
  readonly agentToken?: string;
}

interface UntrustedTransport extends Transport {
  close?(): void;
}

/** What is known of the nodes. */
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
  /** By node, and only those of its latest address. */
  readonly #clients = new Map<string, Clients>();

  constructor(nodes: NodeBook, options: AgentsOptions) {
    this.#nodes = nodes;
    this.#options = options;
  }

  get agentToken(): string | undefined {
    return this.#options.agentToken;
  }

  /** For a question to whoever is at the address. @throws N0Error `invalid_argument` for one that is none. */
  openUntrusted(address: string, nodeName: string): Disposable & { readonly transport: Transport } {
    const { agentTransport, untrustedTransport = agentTransport } = this.#options;
    const transport: UntrustedTransport = untrustedTransport(address, nodeName);
    return { transport, [Symbol.dispose]: () => transport.close?.() };
  }

  /**
   * Whether the machine counts as gone with all that was on it: declared lost, or deleted. There is nothing
   * to be removed there, and nothing to wait for.
   */
  isLost(nodeName: string): boolean {
    return this.#nodes.find(nodeName)?.node.lost ?? true;
  }

  /**
   * @throws N0Error `failed_precondition` for a node that was deleted or is lost; `unavailable` for one that
   *   is silent.
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
      throw new N0Error("unavailable", `node "${nodeName}" is NOT_READY: its agent is not heard`, {
        resource: `node/${nodeName}`,
        retryAfterMs: 5_000,
      });
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

  /** The bare clients, for streams that outlive a call. */
  clients(nodeName: string): Clients {
    return this.#clientsOf(nodeName, this.get(nodeName).address);
  }

  #clientsOf(nodeName: string, address: string): Clients {
    let clients = this.#clients.get(nodeName);
    if (clients?.address !== address) {
      const transport = this.#options.agentTransport(address, nodeName);
      clients = {
        address,
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

/** The answer to what needs a node that an operator has declared lost. */
export function lost(nodeName: string): N0Error {
  return new N0Error(
    "failed_precondition",
    `node "${nodeName}" was declared lost: if the machine is back, say so with "n0cli node found ${nodeName}"`,
    { resource: `node/${nodeName}` },
  );
}
