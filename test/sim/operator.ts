import { fromConnectError } from "../../src/rpc/errors.ts";
import { type Clients, clientsOf } from "../clients.ts";
import type { Endpoint, Network } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import { Process, type Timeline } from "./timeline.ts";

export interface OperatorOptions {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly api: Endpoint;
  /** The transactions that need an operator. */
  readonly stuck: () => readonly string[];
}

const AGAIN_MS = 2_000;

/**
 * Declares nodes lost, and tries until they are deleted. When the faults have stopped, retries the transactions
 * that need an operator.
 */
export class Operator {
  readonly #timeline: Timeline;
  readonly #process = new Process("operator");
  readonly #clients: Clients;
  readonly #stuck: () => readonly string[];
  /** Whether the operator handles stuck transactions: not while the faults go on. */
  tends = false;
  #lost = 0;

  constructor({ timeline, network, api, stuck }: OperatorOptions) {
    this.#timeline = timeline;
    const transport = network.link(this.#process, "operator", api, () => "operator");
    this.#clients = clientsOf(transport);
    this.#stuck = stuck;
    void this.#tend();
  }

  get isBusy(): boolean {
    return this.#lost > 0;
  }

  /** The node is scrapped at once. Another one takes its name when the API has deleted it. */
  lose(node: SimulatedNode): void {
    if (node.isScrapped) return;
    node.scrap();
    this.#lost += 1;
    void this.#forget(node);
  }

  async #tend(): Promise<never> {
    for (;;) {
      for (const id of this.tends ? this.#stuck() : []) {
        const retried = this.#clients.transactions.retryTransaction({ id }, { timeoutMs: 30_000 });
        await retried.catch((reason) => this.#timeline.note(`operator: ${String(reason)}`));
      }
      await this.#pause();
    }
  }

  async #forget(node: SimulatedNode): Promise<void> {
    const { name } = node;
    const { nodes } = this.#clients;
    const options = { timeoutMs: 30_000 };
    await this.#untilDone(() => nodes.setNodeLost({ name, lost: true }, options));
    await this.#untilDone(() => nodes.deleteNode({ name, withObjects: true }, options));
    node.replace();
    this.#lost -= 1;
  }

  /** Also done if the node does not exist any more. */
  async #untilDone(call: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await call();
        return;
      } catch (reason) {
        const { kind, message } = fromConnectError(reason);
        this.#timeline.note(`operator: ${kind}: ${message}`);
        if (kind === "not_found") return;
      }
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#timeline.after(AGAIN_MS, this.#process, resolve);
    });
  }
}
