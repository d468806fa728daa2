import type { KeyedQueue } from "../../src/agent/keyed-queue.ts";
import { pruneKeptRequests } from "../../src/api/core/idempotency/prune.ts";
import { ensureDefaults } from "../../src/api/iam/defaults.ts";
import { virtualMachines } from "../../src/api/provisioning/virtual-machine/collection.ts";
import { type Datastore, merge } from "../../src/datastore/datastore.ts";
import { pruneHistory } from "../../src/datastore/history.ts";
import { memoryDatastore } from "../../src/datastore/memory/memory-datastore.ts";
import { nameOnNode } from "../../src/util/ref.ts";
import { newProject } from "../projects.ts";
import { SimulatedApi } from "./api.ts";
import { SimulatedClient } from "./client.ts";
import { newDice } from "./dice.ts";
import { Model } from "./model.ts";
import { Network } from "./network.ts";
import { SimulatedNode } from "./node.ts";
import { Operator } from "./operator.ts";
import { type Fault, type Item, planRounds, type Round, type Scale } from "./plan.ts";
import { PROJECTS } from "./projects.ts";
import { findViolations, notAtRest } from "./quiet.ts";
import { QuotaLedger } from "./quota-ledger.ts";
import { Timeline } from "./timeline.ts";
import { View } from "./view.ts";
import { disks, machines, Watcher } from "./watcher.ts";

/** A planted bug, to check that it is found. */
export interface Bug {
  readonly name: string;
  readonly wrapDatastore?: (datastore: Datastore) => Datastore;
  readonly wrapQueue?: (queue: KeyedQueue) => KeyedQueue;
  /** Plants it. @returns a function that removes it. */
  readonly plant?: () => Disposable;
  /** The RPC of which it is a bug, if few others come by it. */
  readonly favours?: string;
}

export interface SimulationOptions extends Scale {
  readonly seed: number;
  readonly bug?: Bug;
  /** The API sees writes late. */
  readonly deliversLate?: boolean;
  /** Only these items are done. Default: all. */
  readonly keep?: ReadonlySet<number>;
  readonly onRound?: (progress: Progress) => void;
  readonly onLine?: (line: string) => void;
}

export interface Progress {
  readonly round: number;
  readonly ops: number;
  readonly virtualMs: number;
}

export interface Result {
  readonly seed: number;
  readonly ops: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly traceHash: string;
  /** Empty if everything was right. */
  readonly violations: readonly string[];
  /** The number of rounds that began. If something was wrong, it was in the last one. */
  readonly rounds: number;
  readonly lastLines: readonly string[];
  readonly coverage: Coverage;
}

export interface Coverage {
  readonly committed: ReadonlyMap<string, number>;
  readonly committedIn: ReadonlyMap<string, number>;
  readonly shared: ReadonlyMap<string, number>;
  readonly unwound: ReadonlyMap<string, number>;
  readonly neededOperator: ReadonlyMap<string, number>;
  readonly refused: ReadonlyMap<string, number>;
  readonly faults: ReadonlyMap<string, number>;
  readonly points: ReadonlyMap<string, number>;
  readonly crashes: number;
  readonly recovered: number;
}

/** The clients that watch a project. */
export interface WatchersOf {
  readonly project: string;
  readonly machines: Watcher;
  readonly disks: Watcher;
}

/** Several times longer than any call may take and any backoff may wait. */
const REST_MS = 30 * 60_000;
const RESTS_MAX = 5;
/** For work that does not wait for a node that is away. */
const AWAY_MS = 12 * 60_000;
/** For states on their way from the agents to the API. */
const SETTLE_MS = 8_000;
/** After this time it is killed. */
const STOP_MS = 5_000;

/** Runs the whole control plane on virtual time, and checks after each round that everything is right. */
export async function simulate(options: SimulationOptions): Promise<Result> {
  const planted = options.bug?.plant?.();
  try {
    return await new Simulation(options).run();
  } finally {
    planted?.[Symbol.dispose]();
  }
}

export class Simulation {
  readonly timeline = new Timeline();
  readonly model = new Model();
  readonly quotaLedger = new QuotaLedger();
  readonly durable = memoryDatastore();
  readonly network: Network;
  readonly api: SimulatedApi;
  readonly nodes: readonly SimulatedNode[];
  readonly clients: readonly SimulatedClient[];
  readonly operator: Operator;
  readonly watchers: readonly WatchersOf[];
  readonly faults = new Map<string, number>();
  readonly #options: SimulationOptions;
  #rounds = 0;
  #ops = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const { seed, bug, nodes, clients, onLine } = options;
    const { timeline, model, durable } = this;
    timeline.onLine = onLine;
    const diceOf = (what: string) => newDice(`${what} of ${seed}`);
    this.network = new Network(timeline, diceOf("network"));
    const { network } = this;
    this.api = new SimulatedApi({
      durable,
      timeline,
      network,
      dice: diceOf("api"),
      node: (address) => this.nodes.find((node) => node.address === address)!,
      onBatch: (batch) => {
        model.onBatch(batch);
        this.quotaLedger.onBatch(batch.writes);
      },
      wrapDatastore: bug?.wrapDatastore ?? ((datastore) => datastore),
      deliversLate: options.deliversLate ?? false,
    });
    this.nodes = Array.from({ length: nodes }, (_, i) => {
      const name = `node-${i + 1}`;
      const node = new SimulatedNode({
        name,
        timeline,
        network,
        dice: diceOf(name),
        api: this.api,
        peer: (address) => this.nodes.find((other) => other.address === address),
        wrapQueue: bug?.wrapQueue ?? ((queue) => queue),
      });
      node.fates.onPress = (guest) => this.#press(node, guest);
      return node;
    });
    const parts = { timeline, network, api: this.api };
    this.operator = new Operator({ ...parts, stuck: () => model.stuck() });
    this.watchers = PROJECTS.map((project) => ({
      project,
      machines: new Watcher(`watcher of machines in ${project}`, parts, machines(project)),
      disks: new Watcher(`watcher of disks in ${project}`, parts, disks(project)),
    }));
    this.clients = Array.from(
      { length: clients },
      (_, i) => new SimulatedClient(`client-${i}`, { timeline, network, api: this.api, model }),
    );
  }

  async run(): Promise<Result> {
    await ensureDefaults(this.durable);
    await this.durable.batch(merge(...PROJECTS.map((project) => newProject(project))));
    this.model.expectPresent(await this.durable.list(""));
    this.api.start();
    for (const node of this.nodes) node.start();
    for (const { machines, disks } of this.watchers) {
      machines.start();
      disks.start();
    }
    await this.timeline.run(() => false, SETTLE_MS);
    for (const round of planRounds(this.#options.seed, this.#options)) {
      this.#rounds += 1;
      const violations = await this.#round(round);
      if (violations.length > 0) return this.#result(violations);
      this.#options.onRound?.({
        round: this.#rounds,
        ops: this.#ops,
        virtualMs: this.timeline.nowMs,
      });
    }
    return this.#result([]);
  }

  async #round({ items, lengthMs, away }: Round): Promise<readonly string[]> {
    const { keep } = this.#options;
    const done = keep === undefined ? items : items.filter(({ index }) => keep.has(index));
    // A round that is left out as a whole takes no time either.
    if (done.length === 0) return [];
    for (const item of done) {
      this.timeline.after(item.atMs, undefined, () => this.#do(item));
    }
    await this.timeline.run(() => false, lengthMs);
    this.#mend(away);
    this.operator.tends = true;
    if (away !== undefined) {
      const left = this.nodes[away]!;
      await this.timeline.run(() => notAtRest(this, left.name) === undefined, AWAY_MS);
      const restless = notAtRest(this, left.name);
      if (restless !== undefined) return [`with ${left.name} away: ${restless}`];
      left.start();
    }
    const restless = await this.#comeToRest();
    if (restless !== undefined) return [restless, ...this.model.violations];
    const violations = await findViolations(this);
    this.operator.tends = false;
    await pruneHistory(this.durable, Number.POSITIVE_INFINITY);
    await pruneKeptRequests(this.durable, Number.POSITIVE_INFINITY);
    this.model.prune();
    return violations;
  }

  /** Waits until it stays at rest. @returns what is not at rest in the end. */
  async #comeToRest(): Promise<string | undefined> {
    for (let tries = 1; tries <= RESTS_MAX; tries++) {
      await this.timeline.run(() => notAtRest(this) === undefined, REST_MS);
      const restless = notAtRest(this);
      if (restless !== undefined) return `it does not come to rest: ${restless}`;
      await this.timeline.run(() => false, SETTLE_MS);
      // If the last call of a node was lost, its absence may show only now. It is back in seconds.
      if (notAtRest(this) === undefined) return undefined;
    }
    return `it does not stay at rest: ${notAtRest(this)}`;
  }

  #do(item: Item): void {
    if ("fault" in item) return this.#fault(item.fault);
    this.#ops += 1;
    const names = this.nodes.map(({ name }) => name);
    this.clients[item.client]!.ask(item, () => new View(this.model, item, names));
  }

  #fault(fault: Fault): void {
    this.faults.set(fault.kind, (this.faults.get(fault.kind) ?? 0) + 1);
    this.timeline.note(`fault ${JSON.stringify(fault)}`);
    const { timeline, api, network } = this;
    const node = "node" in fault ? this.nodes[fault.node % this.nodes.length]! : undefined;
    switch (fault.kind) {
      case "api-dies":
        return api.doom(fault.death, fault.downMs, fault.again);
      case "api-stops":
        return api.stop(fault.downMs);
      case "api-freezes":
        return this.#freeze(api.process, fault.forMs);
      case "agent-freezes":
        return this.#freeze(node!.served?.process, fault.forMs);
      case "disk":
        api.trouble = fault.trouble;
        timeline.after(fault.forMs, undefined, () => {
          api.trouble = undefined;
        });
        return;
      case "clock-jumps":
        timeline.wallOffsetMs += fault.byMs;
        return;
      case "node-is-lost":
        return this.operator.lose(node!);
      case "agent-stops":
        void node!.stop();
        timeline.after(fault.downMs + STOP_MS, undefined, () => {
          node!.crash();
          node!.start();
        });
        return;
      case "agent-dies":
        node!.crash();
        timeline.after(fault.downMs, undefined, () => node!.start());
        return;
      case "cut":
        network.cut(node!.name);
        timeline.after(fault.forMs, undefined, () => network.mend(node!.name));
        return;
      case "calls-to-api":
        return network.doom("api", fault.fates);
      case "calls-to-node":
        return network.doom(node!.name, fault.fates);
      case "sticks":
        node!.fates.next.push("sticks");
        return;
      case "drivers":
        node!.fates.next.push(...fault.fates);
        return;
      default:
        return this.#guest(fault.seed, fault.does);
    }
  }

  #freeze(process: Parameters<Timeline["freeze"]>[0] | undefined, forMs: number): void {
    if (process === undefined || process.frozen !== undefined) return;
    this.timeline.freeze(process);
    this.timeline.after(forMs, undefined, () => {
      if (process.frozen !== undefined) this.timeline.thaw(process);
    });
  }

  #guest(seed: number, does: "powers off" | "crashes"): void {
    const machines = this.model.objects(virtualMachines);
    const vm = machines[seed % Math.max(1, machines.length)];
    if (vm === undefined) return;
    this.#goOff(this.#nodeOf(vm.object.computeNodeName), nameOnNode(vm.ref), does);
  }

  /** Most guests notice the button, after a while. */
  #press(node: SimulatedNode, name: string): void {
    const dice = newDice(`${name} at ${this.timeline.nowMs}`);
    if (dice.chance(0.2)) return;
    this.timeline.after(dice.between(10, 4_000), undefined, () => {
      this.#goOff(node, name, "powers off");
    });
  }

  #goOff(node: SimulatedNode, name: string, does: "powers off" | "crashes"): void {
    if (node.isScrapped) return;
    const domain = node.drivers.compute.snapshot().domains.find((d) => d.name === name);
    if (domain?.state !== "running") return;
    this.timeline.note(`guest ${name} ${does}`);
    if (does === "crashes") node.drivers.compute.crash(name);
    else node.drivers.compute.powerOff(name);
    this.model.onGuest(name);
  }

  #nodeOf(name: string): SimulatedNode {
    return this.nodes.find((node) => node.name === name)!;
  }

  /** Stops the faults. What is down comes back, except for the node that stays away. */
  #mend(away: number | undefined): void {
    const { network, api, timeline } = this;
    timeline.note("faults stop");
    network.mendAll();
    api.trouble = undefined;
    api.spare();
    if (api.process?.frozen !== undefined) timeline.thaw(api.process);
    for (const [i, node] of this.nodes.entries()) {
      node.fates.next.length = 0;
      node.fates.stuck.clear();
      const process = node.served?.process;
      if (process?.frozen !== undefined) timeline.thaw(process);
      if (i === away) node.crash();
    }
  }

  #result(violations: readonly string[]): Result {
    const { timeline, model, api, network } = this;
    const faults = new Map([...this.faults, ...network.happened]);
    for (const { fates } of this.nodes) {
      for (const [fate, times] of fates.happened) {
        const what = `driver ${fate}`;
        faults.set(what, (faults.get(what) ?? 0) + times);
      }
    }
    const refused = new Map<string, number>();
    for (const client of this.clients) {
      for (const [kind, times] of client.refused)
        refused.set(kind, (refused.get(kind) ?? 0) + times);
    }
    return {
      seed: this.#options.seed,
      ops: this.#ops,
      virtualMs: timeline.nowMs,
      events: timeline.eventCount,
      traceHash: timeline.traceHash,
      violations,
      rounds: this.#rounds,
      lastLines: timeline.lastLines,
      coverage: {
        committed: model.committed,
        committedIn: model.committedIn,
        shared: model.shared,
        unwound: model.unwound,
        neededOperator: model.neededOperator,
        refused,
        faults,
        points: api.passed,
        crashes: api.crashes,
        recovered: api.recovered,
      },
    };
  }
}
