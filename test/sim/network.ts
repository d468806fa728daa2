import { AsyncLocalStorage } from "node:async_hooks";
import type { StreamResponse, Transport, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { onAbort } from "../../src/util/race.ts";
import type { Dice } from "./dice.ts";
import type { Process, Timeline } from "./timeline.ts";

/** A peer that does not answer a ping for this long counts as dead, as in `src/rpc/transport.ts`. */
const DEAD_AFTER_MS = 15_000;
const POLL_MS = 250;

/** The fate of the next calls of a link. */
export type CallFate =
  | "lose-request"
  | "lose-answer"
  | "duplicate"
  | "late-request"
  | "late-answer";

/** One process that can be called, in any incarnation. */
export interface Endpoint {
  readonly name: string;
  /** The present incarnation; undefined while none runs, or none listens. */
  readonly served: Served | undefined;
}

export interface Served {
  readonly process: Process;
  readonly transport: Transport;
}

/** The delivery for which a handler runs: `deliveryNow` returns it, also deep within. */
export interface Delivery {
  readonly call: string;
  readonly copy: number;
}

const deliveries = new AsyncLocalStorage<Delivery>();

export function deliveryNow(): Delivery | undefined {
  return deliveries.getStore();
}

const unanswered = new WeakSet<object>();

/** True if the simulated network made the error: the result of the request is not known. */
export function isUnanswered(reason: unknown): boolean {
  return typeof reason === "object" && reason !== null && unanswered.has(reason);
}

/** Calls `fail` when the line breaks, the caller dies, or the caller gives up. */
function failWith(
  line: Line,
  caller: Process,
  endpoint: Endpoint,
  signal: AbortSignal | undefined,
  fail: (error: ConnectError) => void,
): void {
  line.onBroken = () => fail(noAnswer(`${endpoint.name} does not answer`));
  line.onEnd(caller.onDeath(() => fail(noAnswer("the caller has died"))));
  if (signal === undefined) return;
  const listening = onAbort(signal, () => fail(ConnectError.from(signal.reason, Code.Canceled)));
  line.onEnd(() => listening[Symbol.dispose]());
}

function noAnswer(text: string, code = Code.Unavailable): ConnectError {
  const error = new ConnectError(text, code);
  unanswered.add(error);
  return error;
}

type UnaryCall = Parameters<Transport["unary"]>;
type StreamCall = Parameters<Transport["stream"]>;

/** Carries calls between the processes, slowly, and with the given faults. */
export class Network {
  readonly #timeline: Timeline;
  readonly #dice: Dice;
  /** By endpoint: the fates of its next calls. */
  readonly #fates = new Map<string, CallFate[]>();
  readonly #cut = new Set<string>();
  /** The requests on their way or in progress, without those that never end. */
  inFlight = 0;
  readonly happened = new Map<string, number>();

  constructor(timeline: Timeline, dice: Dice) {
    this.#timeline = timeline;
    this.#dice = dice;
  }

  /** Nothing gets to the endpoint or from it, until it is mended. */
  cut(name: string): void {
    this.#cut.add(name);
  }

  mend(name: string): void {
    this.#cut.delete(name);
  }

  /** The next calls to the endpoint have these fates. */
  doom(name: string, fates: readonly CallFate[]): void {
    this.#fates.set(name, [...(this.#fates.get(name) ?? []), ...fates]);
  }

  mendAll(): void {
    this.#cut.clear();
    this.#fates.clear();
  }

  /** The transport from `caller` to `endpoint`. `from` is the caller's own endpoint, if it can be cut off. */
  link(caller: Process, from: string, endpoint: Endpoint, label: () => string): Transport {
    return {
      unary: (...call) => this.#unary(caller, from, endpoint, label(), call) as never,
      stream: (...call) => this.#stream(caller, from, endpoint, call) as never,
    };
  }

  /** @returns a function that removes it; the end of the process does so too. */
  #enter(process: Process): () => void {
    this.inFlight += 1;
    let isIn = true;
    const leave = () => {
      if (!isIn) return;
      isIn = false;
      forget();
      this.inFlight -= 1;
    };
    const forget = process.onDeath(leave);
    return leave;
  }

  #count(what: string): void {
    this.happened.set(what, (this.happened.get(what) ?? 0) + 1);
  }

  #latencyMs(): number {
    return this.#dice.chance(0.03) ? this.#dice.between(1, 200) : this.#dice.between(0.05, 1.5);
  }

  #isCut(...names: readonly string[]): boolean {
    return names.some((name) => this.#cut.has(name));
  }

  #unary(
    caller: Process,
    from: string,
    endpoint: Endpoint,
    label: string,
    [method, signal, timeoutMs, header, input]: UnaryCall,
  ): Promise<UnaryResponse> {
    if (!caller.isAlive) return never();
    const fates = this.#fates.get(endpoint.name);
    const isBeat = method.name === "HeartbeatNode";
    const fate = isBeat ? undefined : fates?.shift();
    if (fate !== undefined) this.#count(fate);
    if (!isBeat) this.#timeline.note(`${from} > ${endpoint.name} ${method.name} ${fate ?? ""}`);
    const line = new Line(this.#timeline, caller, () => this.#isCut(from, endpoint.name), endpoint);

    return new Promise((resolve, reject) => {
      const server = new AbortController();
      const fail = (error: ConnectError) => {
        if (!line.end()) return;
        if (caller.isAlive) reject(error);
        if (!isBeat) this.#timeline.note(`${from} < ${endpoint.name} ${method.name} no answer`);
        // The server notices it, if it can be reached.
        line.send(this.#latencyMs(), () => server.abort(error));
      };
      failWith(line, caller, endpoint, signal, fail);
      if (signal?.aborted === true) return;
      if (timeoutMs !== undefined && timeoutMs > 0) {
        const late = noAnswer("the operation timed out", Code.DeadlineExceeded);
        line.onEnd(this.#timeline.after(timeoutMs, caller, () => fail(late)));
      }

      const deliver = (copy: number, ms: number) => {
        const leave = isBeat ? () => {} : this.#enter(line.served?.process ?? caller);
        line.send(ms, (served) => {
          if (served === undefined) {
            leave();
            return line.breakLater(this.#latencyMs());
          }
          const delivery = { call: label, copy };
          const work = () =>
            served.transport.unary(method, server.signal, undefined, header, input);
          const settled = (settle: () => void) => {
            if (!served.process.isAlive) return;
            leave();
            // Nobody waits for the answer of the second copy.
            if (copy === 0) this.#answer(line, fate, settle);
          };
          deliveries.run(delivery, work).then(
            (response) => settled(() => resolve(response)),
            (reason: unknown) => settled(() => reject(ConnectError.from(reason))),
          );
        });
      };
      if (fate === "lose-request") return line.breakLater(this.#dice.between(0, DEAD_AFTER_MS));
      deliver(0, fate === "late-request" ? this.#dice.between(500, 40_000) : this.#latencyMs());
      if (fate === "duplicate") deliver(1, this.#dice.between(0, 20_000));
    });
  }

  #answer(line: Line, fate: CallFate | undefined, settle: () => void): void {
    if (fate === "lose-answer") return line.breakLater(this.#dice.between(0, DEAD_AFTER_MS));
    const ms = fate === "late-answer" ? this.#dice.between(100, 20_000) : this.#latencyMs();
    line.answer(ms, () => {
      if (line.end()) settle();
    });
  }

  async #stream(
    caller: Process,
    from: string,
    endpoint: Endpoint,
    [method, signal, , header, input]: StreamCall,
  ): Promise<StreamResponse> {
    if (!caller.isAlive) return await never();
    const server = new AbortController();
    const line = new Line(this.#timeline, caller, () => this.#isCut(from, endpoint.name), endpoint);
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => undefined);
    const fail = (error: ConnectError) => {
      if (!line.end()) return;
      if (caller.isAlive) broken.reject(error);
      line.send(this.#latencyMs(), () => server.abort(error));
    };
    signal?.throwIfAborted();
    failWith(line, caller, endpoint, signal, fail);
    const fate = method.name.startsWith("Watch")
      ? undefined
      : this.#fates.get(endpoint.name)?.shift();
    if (fate !== undefined) {
      this.#count(`${fate}, of a stream`);
      line.breakLater(this.#dice.between(0, 2_000));
    }

    const opened = Promise.withResolvers<StreamResponse>();
    line.send(this.#latencyMs(), (served) => {
      if (served === undefined) return line.breakLater(this.#latencyMs());
      const delivery = { call: `${from} ${method.name}`, copy: 0 };
      const work = () => served.transport.stream(method, server.signal, undefined, header, input);
      deliveries.run(delivery, work).then(
        (response) =>
          line.answer(this.#latencyMs(), () => opened.resolve(response as StreamResponse)),
        (reason: unknown) => line.answer(this.#latencyMs(), () => broken.reject(reason)),
      );
    });
    const response = await Promise.race([opened.promise, broken.promise]);
    const messages = this.#carried(response.message, line, broken.promise);
    return { ...response, message: messages } as StreamResponse;
  }

  /** The same messages, each with a delay. */
  #carried<T>(messages: AsyncIterable<T>, line: Line, broken: Promise<never>): AsyncIterable<T> {
    const source = messages[Symbol.asyncIterator]();
    const next = () => {
      const arrived = Promise.withResolvers<IteratorResult<T>>();
      source.next().then(
        (step) => line.answer(this.#latencyMs(), () => arrived.resolve(step)),
        (reason: unknown) => line.answer(this.#latencyMs(), () => arrived.reject(reason)),
      );
      return Promise.race([arrived.promise, broken]).then((step) => {
        if (step.done === true) line.end();
        return step;
      });
    };
    const close = async () => {
      line.end();
      await source.return?.();
      return { done: true, value: undefined } as const;
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: close }) };
  }
}

/** The connection of one call: to the process that runs when it is made, and to no later one. */
class Line {
  onBroken: () => void = () => {};
  readonly #timeline: Timeline;
  readonly #caller: Process;
  readonly #isCut: () => boolean;
  readonly served: Served | undefined;
  readonly #ends: (() => void)[] = [];
  #isOver = false;

  constructor(timeline: Timeline, caller: Process, isCut: () => boolean, { served }: Endpoint) {
    this.#timeline = timeline;
    this.#caller = caller;
    this.#isCut = isCut;
    this.served = served;
    if (served !== undefined) {
      this.onEnd(served.process.onDeath(() => this.breakLater(5)));
    }
    this.#watch();
  }

  /** False if it has ended already. */
  end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    for (const end of this.#ends) end();
    return true;
  }

  onEnd(end: () => void): void {
    this.#ends.push(end);
  }

  breakLater(ms: number): void {
    this.#timeline.after(ms, this.#caller, () => this.onBroken());
  }

  /** Calls `arrive` in the server, or with undefined if none listens. A cut-off call waits. */
  send(ms: number, arrive: (served: Served | undefined) => void): void {
    const served = this.served;
    if (served === undefined) {
      this.#timeline.after(ms, this.#caller, () => arrive(undefined));
      return;
    }
    this.#timeline.after(ms, served.process, () => {
      if (!this.#isCut()) return arrive(served);
      // The connection ends when its sender gives up. Until then it is tried again.
      if (!this.#isOver) this.send(POLL_MS, arrive);
      else arrive(undefined);
    });
  }

  answer(ms: number, arrive: () => void): void {
    this.#timeline.after(ms, this.#caller, () => {
      if (!this.#isCut()) return arrive();
      if (!this.#isOver) this.answer(POLL_MS, arrive);
    });
  }

  /** Gives up a peer that is cut off or stands still for too long. */
  #watch(): void {
    let badSinceMs: number | undefined;
    const look = () => {
      if (this.#isOver) return;
      const isBad = this.#isCut() || this.served?.process.frozen !== undefined;
      badSinceMs = isBad ? (badSinceMs ?? this.#timeline.nowMs) : undefined;
      if (badSinceMs !== undefined && this.#timeline.nowMs - badSinceMs >= DEAD_AFTER_MS) {
        return this.onBroken();
      }
      this.onEnd(this.#timeline.after(DEAD_AFTER_MS / 3, this.#caller, look));
    };
    this.onEnd(this.#timeline.after(DEAD_AFTER_MS / 3, this.#caller, look));
  }
}

/** A promise for the waits of a dead process. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}
