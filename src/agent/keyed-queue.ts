import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { RunningWork } from "./running-work.ts";

/**
 * Does the work of each key one after the other, in the order it was asked for, and none that is
 * older than the newest generation asked for under its key. Keys do not wait for each other.
 *
 *     refused ◀─older─ run ──▶ queued ──its turn──▶ running ──▶ ended
 *                                └─a newer came──▶ refused   └─a newer came: its signal aborts,
 *                                                              and the newer waits until it ended
 */
export interface KeyedQueue {
  /**
   * Runs `work` when all that was asked for before under `key` has ended. The same generation may come
   * again: it runs again. The signal aborts when a newer generation comes, or the process ends; not
   * when the caller loses interest. A work that ends well in spite of its signal has ended well.
   *
   * While work hangs that was told to end (`RunningWork`), whoever waits behind it or comes later is
   * refused: nobody else may touch what it still works on.
   *
   * @throws N0Error `aborted` if a newer generation came before, meanwhile, or while it ran;
   *   `unavailable` if the process ends; `failed_precondition` while other work of the key hangs; and
   *   whatever `work` throws.
   */
  run<T>(key: string, generation: bigint, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Resolves when nothing is queued or running. */
  whenIdle(): Promise<void>;
  /** How many keys have work queued or running. */
  readonly busyKeys: number;
  /** The keys whose work runs. */
  readonly runningKeys: readonly string[];
  /** How many keys without work are remembered. */
  readonly idleKeys: number;
}

export interface KeyedQueueOptions {
  /** The end of the process: running work is aborted, queued work refused. */
  readonly signal: AbortSignal;
  /** Of this many keys without work the newest generation is remembered; the least recently used go first. */
  readonly idleKeysMax?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** About 20 MB. A late request is late by minutes at most; no node sees this many objects change in those. */
const IDLE_KEYS_MAX = 100_000;

interface Line {
  newest: bigint;
  /** Queued and running. */
  works: number;
  /** The end of the last work asked for; never rejects. */
  tail: Promise<void>;
  running: RunningWork | undefined;
  /** Rejects for all that waits when what runs hangs. */
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

  /** Takes a place at the end of the line of `key`, and hurries an older work that is running. */
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
  // Nobody may wait just then.
  hang.promise.catch(() => {});
  return hang;
}

/** Waits for the end of what was asked for before. @throws N0Error when something of that hangs. */
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
