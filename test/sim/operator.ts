import { fromConnectError } from "../../src/rpc/errors.ts";
import { type Clients, clientsOf } from "../world.ts";
import type { Endpoint, Network } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import { Process, type Timeline } from "./timeline.ts";

export interface OperatorOptions {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly api: Endpoint;
}

const AGAIN_MS = 2_000;

/** Who says that a machine will never come back, and tries until it is forgotten. */
export class Operator {
  readonly #timeline: Timeline;
  readonly #process = new Process("operator");
  readonly #clients: Clients;
  #lost = 0;

  constructor({ timeline, network, api }: OperatorOptions) {
    this.#timeline = timeline;
    const transport = network.link(this.#process, "operator", api, () => "operator");
    this.#clients = clientsOf(transport);
  }

  get isBusy(): boolean {
    return this.#lost > 0;
  }

  /** The machine is scrapped at once; another one comes under its name when the API has forgotten it. */
  lose(node: SimulatedNode): void {
    if (node.isScrapped) return;
    node.scrap();
    this.#lost += 1;
    void this.#forget(node);
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

  /** Done as well when there is no such node any more. */
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
      await new Promise<void>((resolve) => {
        this.#timeline.after(AGAIN_MS, this.#process, resolve);
      });
    }
  }
}
