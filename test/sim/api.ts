import { createHash } from "node:crypto";
import type { Transport } from "@connectrpc/connect";
import { type OpenedApi, openApi } from "../../src/api/api.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { lateDelivery } from "../../src/datastore/late-delivery.ts";
import { serverInterceptors } from "../../src/rpc/interceptors.ts";
import { localTransport } from "../../src/rpc/local-transport.ts";
import type { FaultPoint } from "../../src/transaction/faults.ts";
import { silentLog } from "../../src/util/log.ts";
import { type Batch, type DiskTrouble, simulatedDatastore } from "./datastore.ts";
import { type Dice, randomOf } from "./dice.ts";
import { type Endpoint, type Network, never, type Served } from "./network.ts";
import { Process, type Timeline } from "./timeline.ts";

/** When the API dies: at a moment, at a call of one of its ports, or at a fault point of a transaction. */
export type Death =
  | { readonly kind: "now" }
  | { readonly kind: "port"; readonly calls: number }
  | { readonly kind: "point"; readonly point: FaultPoint; readonly times: number };

/** Shorter than most rounds, so that other requests meet transactions that need an operator. */
const GIVE_UP_AFTER_MS = 1_000;

const LATE_MS_MAX = 1_000;

interface Doom {
  left: number;
  readonly point: FaultPoint | undefined;
  readonly downMs: number;
  readonly again: Death | undefined;
}

export interface SimulatedApiOptions {
  readonly durable: Datastore;
  readonly timeline: Timeline;
  readonly network: Network;
  readonly dice: Dice;
  readonly node: (address: string) => Endpoint;
  readonly onBatch: (batch: Batch) => void;
  readonly wrapDatastore: (datastore: Datastore) => Datastore;
  /** Whether the API sees writes late, by up to a second. */
  readonly deliversLate: boolean;
}

/** The API process, in any incarnation, on records that outlive it. */
export class SimulatedApi implements Endpoint {
  readonly name = "api";
  served: Served | undefined;
  opened: OpenedApi | undefined;
  trouble: DiskTrouble | undefined;
  starts = 0;
  crashes = 0;
  /** The open transactions of earlier incarnations. */
  recovered = 0;
  readonly passed = new Map<FaultPoint, number>();
  /** The failure of its start, which is a bug. */
  failure: unknown;
  readonly #options: SimulatedApiOptions;
  #process: Process | undefined;
  #death: Doom | undefined;
  /** How the next incarnation dies. */
  #again: Death | undefined;

  constructor(options: SimulatedApiOptions) {
    this.#options = options;
  }

  /** The present incarnation, also while it starts. */
  get process(): Process | undefined {
    return this.#process;
  }

  start(): void {
    if (this.#process !== undefined) return;
    const { durable, timeline, dice, onBatch, wrapDatastore } = this.#options;
    this.starts += 1;
    const process = new Process(`api#${this.starts}`);
    this.#process = process;
    timeline.note(`${process.name} starts`);
    const datastore = simulatedDatastore({
      durable,
      process,
      timeline,
      dice,
      trouble: () => this.trouble,
      onPort: () => this.#port(process),
      onBatch,
    });
    void this.#open(process, wrapDatastore(datastore)).catch((reason: unknown) => {
      if (process.isAlive) this.#failedToStart(process, reason);
    });
  }

  async #open(process: Process, datastore: Datastore): Promise<void> {
    const { timeline, dice, deliversLate } = this.#options;
    const late = { clock: timeline.clockOf(process), random: dice, delayMsMax: LATE_MS_MAX };
    const opened = await openApi({
      datastore: deliversLate ? await lateDelivery(datastore, late) : datastore,
      agentTransport: (address) => this.#toAgent(process, address),
      links: { consoleUrl: async ({ name }) => name, downloadUrl: async ({ name }) => name },
      nameservers: ["192.0.2.53"],
      openTransactionsMax: 1_000,
      giveUpAfterMs: GIVE_UP_AFTER_MS,
      clock: timeline.clockOf(process),
      random: randomOf(dice),
      // Argon2id takes real time.
      derivePassword: async (password, salt) =>
        createHash("sha256").update(salt).update(password).digest(),
      log: silentLog,
      faults: ({ point }) => this.#point(process, point),
    });
    if (!process.isAlive) return;
    const transport = localTransport(opened.routes, {
      interceptors: serverInterceptors(silentLog),
    });
    this.opened = opened;
    this.served = { process, transport };
    this.recovered += opened.recovered;
    timeline.note(`${process.name} listens, ${opened.recovered} recovered`);
  }

  /** A disk that is full at the wrong moment: the service manager starts the process again. */
  #failedToStart(process: Process, reason: unknown): void {
    if (this.trouble === undefined) this.failure = reason;
    this.#options.timeline.note(`${process.name} could not start: ${String(reason)}`);
    this.crash(1_000);
  }

  #toAgent(process: Process, address: string): Transport {
    const { network, node } = this.#options;
    const link = network.link(process, "api", node(address), () => "api");
    const through = <A extends unknown[], R>(call: (...given: A) => R) => {
      return (...given: A): R => {
        this.#port(process);
        return call(...given);
      };
    };
    return { unary: through(link.unary) as never, stream: through(link.stream) as never };
  }

  /** The process dies, and comes back after `downMs`. */
  crash(downMs: number): void {
    const process = this.#process;
    if (process === undefined) return;
    this.#again = this.#death?.again;
    this.#death = undefined;
    this.crashes += 1;
    this.#options.timeline.note(`${process.name} dies`);
    this.#forget();
    process.kill();
    this.#options.timeline.after(downMs, undefined, () => {
      if (this.#again !== undefined) this.doom(this.#again, downMs);
      this.start();
    });
  }

  /** It will die like that, soon, and come back after `downMs`, perhaps to die again. */
  doom(death: Death, downMs: number, again?: Death): void {
    const point = death.kind === "point" ? death.point : undefined;
    const left = death.kind === "port" ? death.calls : death.kind === "point" ? death.times : 1;
    this.#death = { left, point, downMs, again };
    if (death.kind === "now") this.crash(downMs);
  }

  spare(): void {
    this.#death = undefined;
    this.#again = undefined;
  }

  /** Ends it like a service manager, and kills it if that takes too long. Then it comes back. */
  stop(downMs: number): void {
    const { opened } = this;
    const process = this.#process;
    if (opened === undefined || process === undefined) return;
    this.#options.timeline.note(`${process.name} stops`);
    this.served = undefined;
    let isOver = false;
    const over = () => {
      if (isOver || !process.isAlive) return;
      isOver = true;
      this.crash(downMs);
    };
    this.#options.timeline.after(30_000, process, over);
    void opened[Symbol.asyncDispose]().then(over, over);
  }

  #forget(): void {
    this.#process = undefined;
    this.served = undefined;
    this.opened = undefined;
  }

  #port(process: Process): void {
    if (process !== this.#process || this.#death?.point !== undefined) return;
    this.#approach();
  }

  #point(process: Process, point: FaultPoint): void | Promise<void> {
    if (process !== this.#process) return never();
    this.passed.set(point, (this.passed.get(point) ?? 0) + 1);
    if (this.#death?.point === point) this.#approach();
    return process.isAlive ? undefined : never();
  }

  #approach(): void {
    if (this.#death === undefined) return;
    this.#death.left -= 1;
    if (this.#death.left <= 0) this.crash(this.#death.downMs);
  }
}
