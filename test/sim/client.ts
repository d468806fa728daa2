import type { Transport } from "@connectrpc/connect";
import { IDEMPOTENCY_HEADER } from "../../src/api/core/idempotency/request-key.ts";
import { objectKey } from "../../src/datastore/key.ts";
import { fromConnectError } from "../../src/rpc/errors.ts";
import type { N0Error } from "../../src/util/errors.ts";
import { PROJECT_HEADER } from "../../src/util/project.ts";
import { type Clients, clientsOf } from "../clients.ts";
import type { CallKind } from "./call-kind.ts";
import { CALLS, EXPECTED_FINDINGS } from "./calls.ts";
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
const TRIES_MAX = 4;

interface Asked {
  readonly item: PlannedCall;
  readonly kind: CallKind;
  readonly request: object;
  /** The key of the object that it reads by its name. */
  readonly key: string | undefined;
  readonly label: string;
  readonly signal: AbortSignal;
}

/** Sends one request after the other, and compares each answer with the commits. */
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

  /** Sends it after the answers of the earlier ones. */
  ask(item: PlannedCall, view: () => View): void {
    this.#waiting.push(() => this.#send(item, view()));
    if (!this.#isBusy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await next();
    }
    this.#isBusy = false;
  }

  async #send(item: PlannedCall, view: View): Promise<void> {
    const { timeline } = this.#options;
    const { index, rpc, cancelAfterMs, isKeyed } = item;
    const kind = CALLS[rpc]!;
    const request = kind.request(view);
    const label = `#${index}`;
    this.#label = label;
    timeline.note(`${this.name} ${label} ${rpc} in ${item.project} ${textOf(request)}`);
    const cancel = new AbortController();
    if (cancelAfterMs !== undefined) {
      timeline.after(cancelAfterMs, this.#process, () => cancel.abort());
    }
    const { name } = request as { readonly name: string };
    const key = kind.reads === undefined ? undefined : objectKey(view.ref(kind.reads, name));
    const asked: Asked = { item, kind, request, key, label, signal: cancel.signal };
    for (let tries = 1; ; tries++) {
      const isAnswered = await this.#try(asked);
      if (isAnswered || cancel.signal.aborted) return;
      await this.#pause(PAUSE_MS * tries);
      // Without a key, a repeated request is a new one.
      if (!isKeyed || kind.isRead === true || tries === TRIES_MAX) return;
    }
  }

  /** @returns false if its result is not known. */
  async #try({ item, kind, request, key, label, signal }: Asked): Promise<boolean> {
    const { model } = this.#options;
    const { rpc, timeoutMs, isKeyed, project } = item;
    const before = key === undefined ? undefined : model.versionOf(key);
    const headers = {
      [PROJECT_HEADER]: project,
      ...(isKeyed ? { [IDEMPOTENCY_HEADER]: label } : {}),
    };
    try {
      const options = { timeoutMs, signal, headers };
      const answer = await kind.send(this.#clients, request as never, options);
      this.#note(label, "ok");
      model.violations.push(...(kind.wrongIn?.(answer as never, EXPECTED_FINDINGS) ?? []));
      if (rpc === "CancelTransaction") model.expectUnwound((request as { readonly id: string }).id);
      else if (kind.isRead !== true) this.#expectCommitted(item, label);
      else this.#expectSeen(key, before, true);
      return true;
    } catch (reason) {
      const error = fromConnectError(reason);
      const isAnswered = !isUnanswered(reason) && !signal.aborted;
      const what = isAnswered ? error.kind : "no answer";
      this.#note(label, `${what}: ${error.message}`);
      this.refused.set(what, (this.refused.get(what) ?? 0) + 1);
      if (!isAnswered) return false;
      if (error.message === "internal error") {
        model.violations.push(`${label} ${rpc}: internal error`);
      }
      if (kind.isRead !== true) this.#expectNotCommitted(item, label, error);
      else if (error.kind === "not_found") this.#expectSeen(key, before, false);
      return true;
    }
  }

  /** A client without an answer waits a moment before the next request. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.timeline.after(ms, this.#process, resolve);
    });
  }

  #note(label: string, text: string): void {
    this.#options.timeline.note(`${this.name} ${label} ${text}`);
  }

  /** The number of commits for the request. With a key it does not matter which copy was committed. */
  #committedFor({ rpc, isKeyed }: PlannedCall, label: string): number {
    return [...this.#options.model.transactions.values()].filter(
      ({ call, copy, kind, isCommitted }) =>
        call === label && (copy === 0 || isKeyed) && kind === rpc && isCommitted,
    ).length;
  }

  #expectCommitted(item: PlannedCall, label: string): void {
    const times = this.#committedFor(item, label);
    if (times === 1) return;
    const what = `${label} ${item.rpc} was answered ok`;
    this.#options.model.violations.push(`${what}, and it is committed ${times} times`);
  }

  #expectNotCommitted(item: PlannedCall, label: string, { kind, message }: N0Error): void {
    const times = this.#committedFor(item, label);
    if (times === 0 || (times === 1 && message.includes("is committed"))) return;
    const what = `${label} ${item.rpc} was refused (${kind}: ${message})`;
    this.#options.model.violations.push(`${what}, and it is committed ${times} times`);
  }

  /** If no transaction worked on it in the meantime, it existed or did not. */
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
