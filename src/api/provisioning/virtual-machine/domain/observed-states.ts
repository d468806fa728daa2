import { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { Clock } from "../../../../util/clock.ts";
import { pause } from "../../../../util/clock.ts";
import type { Log } from "../../../../util/log.ts";
import { withoutLogFields } from "../../../../util/log.ts";
import { nameOnNode, type Ref, refOnNode } from "../../../../util/ref.ts";
import type { Agents } from "../../../core/agents.ts";
import type { Inventory } from "../../../pool/inventory/inventory.ts";
import { isActiveDomain } from "./domain-states.ts";

/** The time between two tries to watch a node whose agent does not answer. */
const RETRY_MS = 1_000;

/** The reports of a node about one domain while work on it is going on. */
export interface Sighting extends Disposable {
  /**
   * The work has led to this state, and the report of the agent may follow. Does nothing if the agent has
   * reported this state already, because the guest may have changed its state since then.
   */
  note(state: DomainState): void;
}

/**
 * The states of domains as the agents report them. They are shown beside the records and never written into
 * them.
 */
export class ObservedStates implements AsyncDisposable {
  readonly #agents: Agents;
  readonly #inventory: Inventory;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop = new AbortController();
  /** By node and name of the domain. Holds a node while the API listens to its agent. */
  readonly #states = new Map<string, Map<string, DomainState>>();
  readonly #watched = new Map<string, Promise<void>>();
  readonly #listeners = new Set<(ref: Ref) => void>();
  readonly #nodeListeners = new Set<(nodeName: string) => void>();
  /** The states seen since each of them began. */
  readonly #sightings = new Set<{ nodeName: string; name: string; seen: Set<DomainState> }>();

  constructor(agents: Agents, inventory: Inventory, clock: Clock, log: Log) {
    this.#agents = agents;
    this.#inventory = inventory;
    this.#clock = clock;
    this.#log = log;
  }

  /** Listens to every node, and to each new one. */
  start(): void {
    for (const { node } of this.#inventory.views()) this.#watch(node.name);
    const stop = this.#inventory.onNode((nodeName) => this.#watch(nodeName));
    this.#stop.signal.addEventListener("abort", stop, { once: true });
  }

  /**
   * @returns undefined while the API does not listen to the node; ABSENT if the node has no such domain.
   */
  find(nodeName: string, ref: Ref): DomainState | undefined {
    const states = this.#states.get(nodeName);
    return states === undefined ? undefined : (states.get(nameOnNode(ref)) ?? DomainState.ABSENT);
  }

  /** Asks the node itself. @throws N0Error `unavailable` if it does not answer. */
  async read(nodeName: string, ref: Ref, signal: AbortSignal): Promise<DomainState> {
    const agent = this.#agents.get(nodeName);
    const { state } = await agent.compute((c) =>
      c.getDomain({ name: nameOnNode(ref) }, { signal, timeoutMs: 10_000 }),
    );
    return state;
  }

  /** Whether the domain has its memory, so that its guest may write to its disks at any moment. */
  async isActive(nodeName: string, ref: Ref): Promise<boolean> {
    const state = await this.read(nodeName, ref, this.#stop.signal);
    return isActiveDomain(state);
  }

  /** Call it before the domain is changed. */
  sight(nodeName: string, ref: Ref): Sighting {
    const name = nameOnNode(ref);
    const sighting = { nodeName, name, seen: new Set<DomainState>() };
    this.#sightings.add(sighting);
    return {
      note: (state) => {
        if (sighting.seen.has(state)) return;
        this.#states.get(nodeName)?.set(name, state);
        this.#tell(name);
      },
      [Symbol.dispose]: () => void this.#sightings.delete(sighting),
    };
  }

  onChange(listener: (ref: Ref) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when the API begins or stops listening to a node: any virtual machine there may look different. */
  onNodeChange(listener: (nodeName: string) => void): () => void {
    this.#nodeListeners.add(listener);
    return () => this.#nodeListeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#watched.values());
  }

  #watch(nodeName: string): void {
    if (this.#watched.has(nodeName) || this.#stop.signal.aborted) return;
    // It goes on long after the call in which the node became known.
    const watching = withoutLogFields(() => this.#follow(nodeName)).finally(() =>
      this.#watched.delete(nodeName),
    );
    this.#watched.set(nodeName, watching);
  }

  /** Until the record of the node is deleted. */
  async #follow(nodeName: string): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.#inventory.find(nodeName) !== undefined) {
      try {
        await this.#listen(nodeName, signal);
      } catch (error) {
        if (!signal.aborted)
          this.#log.debug("cannot watch the domains of a node", { nodeName, error });
      }
      if (this.#states.delete(nodeName)) this.#tellNode(nodeName);
      await pause(this.#clock, RETRY_MS, signal);
    }
  }

  async #listen(nodeName: string, signal: AbortSignal): Promise<void> {
    const { compute } = this.#agents.clients(nodeName);
    const states = new Map<string, DomainState>();
    for await (const { name, state, synced } of compute.watchDomains({}, { signal })) {
      if (synced) {
        this.#states.set(nodeName, states);
        this.#tellNode(nodeName);
      }
      if (name === "") continue;
      if (state === DomainState.ABSENT) states.delete(name);
      else states.set(name, state);
      this.#see(nodeName, name, state);
      this.#tell(name);
    }
  }

  #see(nodeName: string, name: string, state: DomainState): void {
    for (const sighting of this.#sightings) {
      if (sighting.name === name && sighting.nodeName === nodeName) sighting.seen.add(state);
    }
  }

  #tellNode(nodeName: string): void {
    for (const listener of this.#nodeListeners) listener(nodeName);
  }

  #tell(name: string): void {
    const ref = refOnNode("virtual_machine", name);
    for (const listener of this.#listeners) listener(ref);
  }
}
