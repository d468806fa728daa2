import type { Collection } from "../../../datastore/collection.ts";
import { caughtUp } from "../../../datastore/datastore.ts";
import type { Part } from "../../../datastore/key.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { Mirror, type MirrorListener } from "../../core/read/mirror.ts";
import type * as pool from "../../pool/context.ts";
import { onReadinessChange } from "../../pool/node/readiness.ts";
import { Convergence, type Place, type Refusals } from "./convergence.ts";

/** The longest time that a request waits until the nodes have what follows from it. */
const WAIT_MS = 1_000;

export type PushesApi = Pick<
  pool.Api,
  "datastore" | "records" | "agents" | "inventory" | "clock" | "random" | "log" | "shutdown"
>;

/**
 * Brings nodes something that follows from the records, for each network. So nothing that a request does here has
 * to be undone.
 */
export abstract class Pushes implements AsyncDisposable {
  protected readonly api: PushesApi;
  readonly #convergence: Convergence;
  readonly #mirrors = new DisposableStack();
  #isStarted = false;

  /**
   * @param what is sent, for the log.
   * @param tooOld why an agent that does not know it does not take it; undefined if it then lacks nothing.
   */
  protected constructor(api: PushesApi, what: string, tooOld: string | undefined) {
    this.api = api;
    const { inventory, clock, random, log, shutdown } = api;
    this.#convergence = new Convergence({
      what,
      push: async (nodeName, keys, signal) => {
        try {
          return await this.push(nodeName, keys, signal);
        } catch (error) {
          if (!(error instanceof N0Error) || error.kind !== "unimplemented") throw error;
          return new Map(tooOld === undefined ? [] : keys.map((key) => [key, tooOld]));
        }
      },
      isReachable: (nodeName) => {
        const view = inventory.find(nodeName);
        return view?.isReady === true && !view.node.lost;
      },
      ...{ clock, random, log, shutdown },
    });
  }

  /** Sends the node the newest state of these networks. @throws if it may have got nothing. */
  protected abstract push(
    nodeName: string,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<Refusals>;

  /** Marks what the node may lack, or what every node may. */
  protected abstract offer(nodeName?: string): void;

  /** Brings every node what it may lack. */
  start(): void {
    this.#isStarted = true;
    this.offer();
    const stop = onReadinessChange(this.api, (nodeName) => {
      this.offer(nodeName);
      this.#convergence.wake(nodeName);
    });
    this.#mirrors.defer(stop);
  }

  /** The number of networks of which nodes do not have the newest state yet. */
  get pending(): number {
    return this.#convergence.pending;
  }

  /** Whether the node has what the records say, as far as this process knows. */
  isReached(nodeName: string, network: Ref): boolean {
    return this.#convergence.isReached(placeOf(nodeName, network));
  }

  /** Why the node does not take it; undefined if it does, or was not asked yet. */
  refusal(nodeName: string, network: Ref): string | undefined {
    return this.#convergence.refusal(placeOf(nodeName, network));
  }

  /** Resolves when nothing is being sent. */
  async atRest(): Promise<void> {
    await caughtUp(this.api.datastore);
    await this.#convergence.atRest();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#mirrors.dispose();
    await this.#convergence.atRest();
  }

  protected get isStarted(): boolean {
    return this.#isStarted;
  }

  protected async follow<T>(of: Collection<T, Part>, listener: MirrorListener<T>): Promise<void> {
    this.#mirrors.use(await Mirror.open(this.api.datastore, of, listener));
  }

  /** Something of these networks has changed for these nodes. Before the start, everything is marked anyway. */
  protected mark(places: Iterable<Place>): void {
    if (this.#isStarted) for (const place of places) this.#convergence.mark(place);
  }

  /** Resolves when the nodes have it, as far as they answer; soon in any case. */
  protected async reachedAt(places: () => readonly Place[], signal: AbortSignal): Promise<void> {
    await caughtUp(this.api.datastore);
    await this.#convergence.reached(places(), WAIT_MS, signal);
  }

  /** Sends it again at once. @throws N0Error if the node does not take it. */
  protected async again(place: Place, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { nodeName } = place;
    this.#convergence.mark(place);
    this.#convergence.wake(nodeName);
    await this.#convergence.reached([place], timeoutMs, signal);
    if (this.#convergence.isReached(place)) return;
    const reason = this.#convergence.refusal(place);
    if (reason !== undefined) throw new N0Error("failed_precondition", reason);
    throw new N0Error("unavailable", `node "${nodeName}" does not answer`, { retryAfterMs: 5_000 });
  }
}

function placeOf(nodeName: string, network: Ref): Place {
  return { nodeName, key: formatRef(network) };
}
