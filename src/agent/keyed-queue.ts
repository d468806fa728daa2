import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { RunningWork } from "./running-work.ts";

/**
 * Does the work of each key one after the other, in the order of the calls. Refuses work that is older than the
 * newest generation of its key. Keys do not wait for each other.
 *
 *     refused ◀─older─ run ──▶ queued ──its turn──▶ running ──▶ ended
 *                                └─a newer came──▶ refused   └─a newer came: its signal aborts,
 *                                                              and the newer waits until it ended
 */
export interface KeyedQueue {
  /**
   * Runs `work` after all earlier work of `key` has ended. The same generation may come again, and then runs
   * again. The signal aborts when a newer generation comes or the process ends, but not when the caller hangs
   * up. Work that ends well in spite of its signal has succeeded.
   *
   * Work *hangs* if it does not end after its signal aborted (`RunningWork`). Meanwhile the queue refuses all
   * work that waits behind it or comes later, because nothing else may touch what it works on.
   *
   * @throws N0Error `aborted` if a newer generation came before or while it ran; `unavailable` if the process
   * ends; `failed_precondition` while other work of the key hangs; and any error of `work`.
   */
  run<T>(key: string, generation: bigint, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Resolves when nothing is queued or running. */
  whenIdle(): Promise<void>;
  /** The number of keys with queued or running work. */
  readonly busyKeys: number;
  /** The keys with running work. */
  readonly runningKeys: readonly string[];
  /** The number of remembered keys without work. */
  readonly idleKeys: number;
}

export interface KeyedQueueOptions {
  /** Aborts when the process ends: this aborts running work and refuses queued work. */
  readonly signal: AbortSignal;
  /**
   * For this many keys without work, the newest generation is remembered. The least recently used one is
   * forgotten first.
   */
  readonly idleKeysMax?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * About 20 MB. A late request is late by minutes at most, and no node sees this many objects change in minutes.
 */
const IDLE_KEYS_MAX = 100_000;

interface Line {
  newest: bigint;
  /** Queued and running. */
  works: number;
  /** The end of the last work. Never rejects. */
  tail: Promise<void>;
  running: RunningWork | undefined;
  /** Rejects for all waiting work when the running work hangs. */
  hang: PromiseWithResolvers<never>;
}

export function newKeyedQueue(options: KeyedQueueOptions): KeyedQueue {
  const { signal: processEnd, idleKeysMax = IDLE_KEYS_MAX, clock, log } = options;
  const busy = new Map<string, Line>();
  /** The newest generation of each key without work, least recently used first. */
  const idle = new Map<string, bigint>();
  let emptied = Promise.withResolvers<void>();

  processEnd.addEventListener(
    "abort",
    () => {
      for (const line of busy.values()) line.running?.abort(processEnds());
    },
    { once: true },
  );

  function newestOf(key: string): bigint | undefined {
    return busy.get(key)?.newest ?? idle.get(key);
  }

  function remember(key: string, newest: bigint): void {
    idle.delete(key);
    idle.set(key, newest);
    if (idle.size <= idleKeysMax) return;
    for (const oldest of idle.keys()) {
      idle.delete(oldest);
      break;
    }
  }

  /** Takes a place at the end of the queue of `key`, and aborts older work that is running. */
  function enter(key: string, generation: bigint): Line {
    const line = busy.get(key) ?? {
      newest: generation,
      works: 0,
      tail: Promise.resolve(),
      running: undefined,
      hang: newHang(),
    };
    busy.set(key, line);
    idle.delete(key);
    line.works += 1;
    line.newest = generation;
    if (line.running === undefined) return line;
    if (line.running.generation < generation) line.running.abort(superseded(key));
    else line.running.repeat();
    return line;
  }

  function leave(key: string, line: Line): void {
    line.works -= 1;
    if (line.works > 0) return;
    busy.delete(key);
    remember(key, line.newest);
    if (busy.size > 0) return;
    emptied.resolve();
    emptied = Promise.withResolvers();
  }

  async function runNow<T>(
    line: Line,
    key: string,
    generation: bigint,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const onHung = (reason: N0Error) => line.hang.reject(reason);
    const running = new RunningWork(key, generation, { clock, log, onHung });
    line.running = running;
    try {
      return await work(running.signal);
    } catch (cause) {
      const why: unknown = running.signal.reason;
      if (!(why instanceof N0Error)) throw cause;
      throw new N0Error(why.kind, why.message, { ...why.facts, cause });
    } finally {
      if (running.hung !== undefined) line.hang = newHang();
      running.end();
      line.running = undefined;
    }
  }

  return {
    async run(key, generation, work) {
      if (processEnd.aborted) throw processEnds();
      const newest = newestOf(key);
      if (newest !== undefined && generation < newest) {
        if (!busy.has(key)) remember(key, newest);
        throw superseded(key);
      }
      const line = enter(key, generation);
      const before = line.tail;
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      line.tail = ended;
      try {
        await unlessHung(line, before);
        if (processEnd.aborted) throw processEnds();
        if (generation < line.newest) throw superseded(key);
        return await runNow(line, key, generation, work);
      } finally {
        leave(key, line);
        end();
      }
    },
    async whenIdle() {
      while (busy.size > 0) await emptied.promise;
    },
    get busyKeys() {
      return busy.size;
    },
    get runningKeys() {
      return [...busy].filter(([, { running }]) => running !== undefined).map(([key]) => key);
    },
    get idleKeys() {
      return idle.size;
    },
  };
}

function newHang(): PromiseWithResolvers<never> {
  const hang = Promise.withResolvers<never>();
  // There may be no waiting work just then.
  hang.promise.catch(() => {});
  return hang;
}

/** Waits for the end of the earlier work. @throws N0Error when some of it hangs. */
async function unlessHung(line: Line, before: Promise<void>): Promise<void> {
  const throwIfHung = () => {
    const hung = line.running?.hung;
    if (hung !== undefined) throw hung;
  };
  throwIfHung();
  await Promise.race([before, line.hang.promise]);
  throwIfHung();
}

function superseded(key: string): N0Error {
  return new N0Error("aborted", `superseded by a newer request for ${key}`, { resource: key });
}

function processEnds(): N0Error {
  return new N0Error("unavailable", "the agent is stopping");
}
