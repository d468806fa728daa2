import type { Clock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import type {
  FromRpcWorker,
  Operation,
  OperationResult,
  ToRpcWorker,
  WireError,
} from "./worker-protocol.ts";

/** As much of a worker thread as the pool uses. */
export interface RpcThread {
  postMessage(message: ToRpcWorker): void;
  on(event: "message", listener: (message: FromRpcWorker) => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
}

export interface WorkerPool {
  /**
   * Does the operation on the first free thread. Operations on one name are done one after the other,
   * in the order of the calls.
   *
   * When `signal` aborts, one that waits is never done; of one that has begun only the answer is
   * abandoned, and the next on the same name still waits for its end. So it is with the timeout,
   * which counts from the beginning.
   *
   * @throws N0Error what the operation throws; `unavailable` for a timeout. The signal's reason.
   */
  call<O extends Operation>(
    operation: O,
    signal?: AbortSignal,
  ): Promise<OperationResult<O["kind"]>>;
  /** To all threads, behind what they are doing. */
  broadcast(message: ToRpcWorker): void;
  /** Answers `unavailable` to whatever waits or runs, now and later. */
  close(): void;
}

type Outcome = FromRpcWorker | { readonly kind: "thrown"; readonly reason: unknown };

interface Job {
  readonly operation: Operation;
  /** The name that it works on; a read of all has none. */
  readonly key: string | undefined;
  /** Aborted when the caller has been told. */
  readonly settled: AbortSignal;
  /** Tells the caller; a second time does nothing. */
  readonly settle: (outcome: Outcome) => void;
}

interface Slot {
  readonly thread: RpcThread;
  job: Job | undefined;
  /** The job has timed out, or the thread has died: it may never answer. */
  isStuck: boolean;
}

export function createWorkerPool(
  threads: readonly RpcThread[],
  timeoutMs: number,
  clock: Clock,
): WorkerPool {
  const slots = threads.map((thread): Slot => ({ thread, job: undefined, isStuck: false }));
  let queue: Job[] = [];
  let runCount = 0;
  let isClosed = false;

  /** Begins what can begin, in order; refuses what would wait for a thread that may never answer. */
  function pump(): void {
    const isHopeless = isClosed || slots.every(({ isStuck }) => isStuck);
    queue = queue.filter((job) => {
      const ahead = slots.find((slot) => slot.job !== undefined && slot.job.key === job.key);
      if (isHopeless || (ahead?.isStuck === true && job.key !== undefined)) {
        job.settle({
          kind: "thrown",
          reason: unanswered("every thread that could do it is stuck"),
        });
        return false;
      }
      const free = slots.find((slot) => slot.job === undefined && !slot.isStuck);
      if (free === undefined || (ahead !== undefined && job.key !== undefined)) return true;
      begin(free, job);
      return false;
    });
  }

  function begin(slot: Slot, job: Job): void {
    slot.job = job;
    slot.thread.postMessage({ kind: "run", id: ++runCount, operation: job.operation });
    clock.sleep(timeoutMs, job.settled).then(
      () => {
        slot.isStuck = slot.job === job;
        job.settle({ kind: "thrown", reason: unanswered(`no answer in ${timeoutMs} ms`) });
        pump();
      },
      () => {
        // Settled in time.
      },
    );
  }

  for (const slot of slots) {
    slot.thread.on("message", (message) => {
      const { job } = slot;
      slot.job = undefined;
      slot.isStuck = false;
      job?.settle(message);
      pump();
    });
    slot.thread.on("error", (reason) => {
      slot.isStuck = true;
      slot.job?.settle({ kind: "thrown", reason: unanswered(reason) });
      pump();
    });
  }

  return {
    async call<O extends Operation>(operation: O, signal?: AbortSignal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const settled = new AbortController();
      const onAbort = () => {
        queue = queue.filter((other) => other !== job);
        job.settle({ kind: "thrown", reason: signal?.reason });
      };
      const job: Job = {
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
      queue.push(job);
      pump();
      return (await promise) as OperationResult<O["kind"]>;
    },
    broadcast(message) {
      for (const { thread } of slots) thread.postMessage(message);
    },
    close() {
      isClosed = true;
      for (const { job } of slots) job?.settle({ kind: "thrown", reason: unanswered("closed") });
      pump();
    },
  };
}

function keyOf(operation: Operation): string | undefined {
  if (operation.kind === "list") return undefined;
  return "spec" in operation ? operation.spec.name : operation.name;
}

function fromWireError({ kind, message, resource, cause }: WireError): N0Error {
  const facts = { cause: new Error(cause), ...(resource === undefined ? {} : { resource }) };
  return new N0Error(kind, message, facts);
}

function unanswered(cause: unknown): N0Error {
  return new N0Error("unavailable", "the hypervisor does not answer, try again", { cause });
}
