import type { Clock } from "../../../util/clock.ts";
import { pause } from "../../../util/clock.ts";
import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import type {
  FromRpcWorker,
  Operation,
  OperationResult,
  ToRpcWorker,
  WireError,
} from "./worker-protocol.ts";

/** The part of a worker thread that the pool uses. */
export interface RpcThread {
  postMessage(message: ToRpcWorker): void;
  on(event: "message", listener: (message: FromRpcWorker) => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
}

/** Changes may take long. Reads are quick, and never wait for a change. */
export type Lane = "change" | "read";

export interface LaneLimits {
  /** The number of operations of the lane at the same time. */
  readonly width: number;
  readonly timeoutMs: number;
}

export interface PoolOptions {
  readonly startThread: () => RpcThread;
  readonly lanes: Readonly<Record<Lane, LaneLimits>>;
  /** A thread that is idle for this long is ended, except for the last one. */
  readonly idleMs: number;
  readonly clock: Clock;
}

export interface WorkerPool {
  /**
   * Does the operation on a free thread, or on a new one. Operations of a lane for one name are done one after
   * the other, in the order of the calls.
   *
   * If `signal` aborts, a waiting operation is never done. A running one goes on, only its answer is abandoned,
   * and the next one for the same name still waits for its end. The timeout, which starts with the operation,
   * does the same.
   *
   * @throws N0Error the error of the operation; `unavailable` for a timeout. Throws the reason of the signal.
   */
  call<O extends Operation>(
    lane: Lane,
    operation: O,
    signal?: AbortSignal,
  ): Promise<OperationResult<O["kind"]>>;
  /** Sends a message to all threads. A thread reads it after its current operation. */
  broadcast(message: ToRpcWorker): void;
  /** Ends the threads. All operations that wait, run or come later fail with `unavailable`. */
  close(): void;
}

/** For this many calls of a lane that may never answer, the pool adds a thread each. */
const STUCK_MAX = 4;

type Outcome = FromRpcWorker | { readonly kind: "thrown"; readonly reason: unknown };

interface Job {
  readonly lane: Lane;
  readonly operation: Operation;
  /** The name that the operation is about; a read of all domains has none. */
  readonly key: string | undefined;
  /** Aborts when the caller has its answer. */
  readonly settled: AbortSignal;
  /** Answers the caller. A second call does nothing. */
  readonly settle: (outcome: Outcome) => void;
}

interface Slot {
  readonly thread: RpcThread;
  job: Job | undefined;
  /** The job has timed out and may never answer. */
  isStuck: boolean;
  /** Aborts when the thread has work again. */
  idle: AbortController;
}

/** Threads start when they are needed: each takes 15 MB, and usually one is enough. */
export function createWorkerPool({ startThread, lanes, idleMs, clock }: PoolOptions): WorkerPool {
  /** The first threads of the list are used first, so that the others become idle and end. */
  let slots: readonly Slot[] = [];
  let queue: Job[] = [];
  let runCount = 0;
  let isClosed = false;

  /**
   * Starts all jobs that can start, in order. Refuses jobs that would wait for a thread that may never answer.
   */
  function pump(): void {
    queue = queue.filter((job) => {
      const ahead = job.key === undefined ? undefined : running(job.lane, job.key);
      if (isClosed || ahead?.isStuck === true || isHopeless(job.lane)) {
        job.settle(failed("every thread for it hangs"));
        return false;
      }
      if (ahead !== undefined || !hasRoom(job.lane)) return true;
      try {
        begin(slots.find((slot) => slot.job === undefined) ?? start(), job);
      } catch (reason) {
        job.settle(failed(reason));
      }
      return false;
    });
  }

  /**
   * Starting a domain takes longer than all other steps together, so other jobs go before waiting starts: among
   * many domains that start at the same time, a started one runs soon, and a deleted one goes.
   */
  function enqueue(job: Job): void {
    let at = queue.length;
    if (job.operation.kind !== "start") while (mayPass(job, queue[at - 1])) at--;
    queue = queue.toSpliced(at, 0, job);
  }

  function mayPass(job: Job, other: Job | undefined): boolean {
    return other?.operation.kind === "start" && other.key !== job.key;
  }

  function running(lane: Lane, key: string): Slot | undefined {
    return slots.find(({ job }) => job?.lane === lane && job.key === key);
  }

  function hasRoom(lane: Lane): boolean {
    const taken = slots.filter(({ job }) => job?.lane === lane);
    const stuckCount = taken.filter(({ isStuck }) => isStuck).length;
    return taken.length < lanes[lane].width + Math.min(stuckCount, STUCK_MAX);
  }

  function isHopeless(lane: Lane): boolean {
    const stuck = slots.filter(({ job, isStuck }) => isStuck && job?.lane === lane);
    return stuck.length >= lanes[lane].width + STUCK_MAX;
  }

  function start(): Slot {
    const thread = startThread();
    const slot: Slot = { thread, job: undefined, isStuck: false, idle: new AbortController() };
    thread.on("message", (message) => {
      const { job } = slot;
      slot.job = undefined;
      slot.isStuck = false;
      job?.settle(message);
      pump();
      if (slot.job === undefined) endWhenIdle(slot);
    });
    thread.on("error", (reason) => {
      drop(slot);
      slot.job?.settle(failed(reason));
      pump();
    });
    slots = [...slots, slot];
    return slot;
  }

  function begin(slot: Slot, job: Job): void {
    slot.idle.abort();
    slot.job = job;
    slot.thread.postMessage({ kind: "run", id: ++runCount, operation: job.operation });
    const { timeoutMs } = lanes[job.lane];
    void pause(clock, timeoutMs, job.settled).then((isLate) => {
      if (!isLate) return;
      slot.isStuck = slot.job === job;
      job.settle(failed(`no answer within ${timeoutMs} ms`));
      pump();
    });
  }

  function endWhenIdle(slot: Slot): void {
    slot.idle = new AbortController();
    void pause(clock, idleMs, slot.idle.signal).then((isIdle) => {
      if (!isIdle || !slots.some((other) => other !== slot && !other.isStuck)) return;
      drop(slot);
      slot.thread.postMessage({ kind: "stop" });
    });
  }

  function drop(slot: Slot): void {
    slots = slots.filter((other) => other !== slot);
    slot.idle.abort();
  }

  return {
    async call<O extends Operation>(lane: Lane, operation: O, signal?: AbortSignal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const settled = new AbortController();
      const onAbort = () => {
        queue = queue.filter((other) => other !== job);
        job.settle({ kind: "thrown", reason: signal?.reason });
      };
      const job: Job = {
        lane,
        operation,
        key: keyOf(operation),
        settled: settled.signal,
        settle(outcome) {
          settled.abort();
          signal?.removeEventListener("abort", onAbort);
          if (outcome.kind === "done") resolve(outcome.result);
          else reject(outcome.kind === "failed" ? fromWireError(outcome.error) : outcome.reason);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      enqueue(job);
      pump();
      return (await promise) as OperationResult<O["kind"]>;
    },
    broadcast(message) {
      for (const { thread } of slots) thread.postMessage(message);
    },
    close() {
      isClosed = true;
      for (const { thread, job, idle } of slots) {
        job?.settle(failed("closed"));
        idle.abort();
        thread.postMessage({ kind: "stop" });
      }
      pump();
    },
  };
}

function keyOf(operation: Operation): string | undefined {
  if (operation.kind === "list") return undefined;
  return "spec" in operation ? operation.spec.name : operation.name;
}

function fromWireError({ kind, message, resource, field, cause }: WireError): N0Error {
  return new N0Error(kind, message, {
    cause: new Error(cause),
    ...defined({ resource, field }),
  });
}

/** The job was not done, or nobody knows whether it was. */
function failed(cause: unknown): Outcome {
  const message = "the hypervisor does not answer, try again";
  return { kind: "thrown", reason: new N0Error("unavailable", message, { cause }) };
}
