import type { Transport } from "@connectrpc/connect";
import { blockStorages, virtualMachines } from "../../src/api/collections.ts";
import { fromConnectError } from "../../src/rpc/errors.ts";
import { type Clients, clientsOf } from "../world.ts";
import { CALLS } from "./calls.ts";
import type { Model } from "./model.ts";
import { type Endpoint, isUnanswered, type Network } from "./network.ts";
import type { PlannedCall } from "./plan.ts";
import { Process, type Timeline } from "./timeline.ts";
import type { View } from "./view.ts";

export interface ClientOptions {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly api: Endpoint;
  readonly model: Model;
}

const PAUSE_MS = 200;

/** Where a read of one object finds it. */
const READ_KEYS: Readonly<Record<string, (name: string) => string>> = {
  GetVirtualMachine: (name) => virtualMachines.key(name),
  GetBlockStorage: (name) => blockStorages.key(name),
};

/** Sends one request after the other, and holds what it is answered against what was committed. */
export class SimulatedClient {
  readonly name: string;
  /** By kind of error. */
  readonly refused = new Map<string, number>();
  readonly #options: ClientOptions;
  readonly #clients: Clients;
  readonly #process: Process;
  readonly #waiting: (() => Promise<void>)[] = [];
  #label = "";
  #isBusy = false;

  constructor(name: string, options: ClientOptions) {
    this.name = name;
    this.#options = options;
    this.#process = new Process(name);
    const { network, api } = options;
    const transport: Transport = network.link(this.#process, name, api, () => this.#label);
    this.#clients = clientsOf(transport);
  }

  get isIdle(): boolean {
    return !this.#isBusy;
  }

  /** Sends it when those before are answered. */
  ask(item: PlannedCall, viewOf: (seed: number) => View): void {
    this.#waiting.push(() => this.#send(item, viewOf(item.seed)));
    if (!this.#isBusy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await next();
    }
    this.#isBusy = false;
  }

  async #send({ index, rpc, timeoutMs, cancelAfterMs }: PlannedCall, view: View): Promise<void> {
    const { timeline, model } = this.#options;
    const kind = CALLS[rpc]!;
    const request = kind.request(view);
    const label = `#${index}`;
    this.#label = label;
    timeline.note(`${this.name} ${label} ${rpc} ${textOf(request)}`);
    const cancel = new AbortController();
    if (cancelAfterMs !== undefined) {
      timeline.after(cancelAfterMs, this.#process, () => cancel.abort());
    }
    const key = READ_KEYS[rpc]?.((request as { readonly name: string }).name);
    const before = key === undefined ? undefined : model.versionOf(key);
    const options = { timeoutMs, signal: cancel.signal };
    try {
      await kind.send(this.#clients, request as never, options);
      this.#note(label, "ok");
      if (kind.isRead !== true) this.#expectCommitted(label, rpc);
      else this.#expectSeen(key, before, true);
    } catch (reason) {
      const error = fromConnectError(reason);
      const isAnswered = !isUnanswered(reason) && !cancel.signal.aborted;
      const what = isAnswered ? error.kind : "no answer";
      this.#note(label, `${what}: ${error.message}`);
      this.refused.set(what, (this.refused.get(what) ?? 0) + 1);
      if (!isAnswered) return await this.#pause();
      if (error.message === "internal error")
        model.violations.push(`${label} ${rpc}: internal error`);
      if (kind.isRead !== true) this.#expectNotCommitted(label, rpc, error.kind, error.message);
      else if (error.kind === "not_found") this.#expectSeen(key, before, false);
    }
  }

  /** Who got no answer waits a moment before the next request. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.timeline.after(PAUSE_MS, this.#process, resolve);
    });
  }

  #note(label: string, text: string): void {
    this.#options.timeline.note(`${this.name} ${label} ${text}`);
  }

  #committedFor(label: string, rpc: string): boolean {
    return [...this.#options.model.transactions.values()].some(
      ({ call, copy, kind, isCommitted }) =>
        call === label && copy === 0 && kind === rpc && isCommitted,
    );
  }

  #expectCommitted(label: string, rpc: string): void {
    if (this.#committedFor(label, rpc)) return;
    this.#options.model.violations.push(
      `${label} ${rpc} was answered ok, and nothing is committed`,
    );
  }

  #expectNotCommitted(label: string, rpc: string, kind: string, message: string): void {
    if (!this.#committedFor(label, rpc) || message.includes("is committed")) return;
    const text = `${label} ${rpc} was refused (${kind}: ${message}), and it is committed`;
    this.#options.model.violations.push(text);
  }

  /** Where nobody was at work on it meanwhile, it was there or not. */
  #expectSeen(key: string | undefined, before: number | undefined, isSeen: boolean): void {
    const { model } = this.#options;
    if (key === undefined || before === undefined || model.versionOf(key) !== before) return;
    if (model.expected.has(key) === isSeen) return;
    model.violations.push(`${key} is ${isSeen ? "seen" : "not seen"}, against what was committed`);
  }
}

function textOf(request: object): string {
  return JSON.stringify(request, (_, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}
