import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../../util/clock.ts";
import { pause } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { createWorkerPool, type Lane } from "./worker-pool.ts";
import type {
  DriverSettings,
  FromEventWorker,
  Operation,
  OperationResult,
  QemuUser,
  ToEventWorker,
  ToRpcWorker,
} from "./worker-protocol.ts";

/** The part of pino that we use. */
export interface ComputeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

type CallOf = <O extends Operation>(
  operation: O,
  signal?: AbortSignal,
) => Promise<OperationResult<O["kind"]>>;

export interface LibvirtConnection extends AsyncDisposable {
  /** The lane of changes, which may take long. */
  readonly change: CallOf;
  /** The lane of reads, which are quick and never wait for a change. */
  readonly read: CallOf;
}

export interface ConnectionOptions {
  readonly settings: DriverSettings;
  readonly changeThreads: number;
  readonly changeTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly clock: Clock;
  readonly log: ComputeLog;
  /** Called each time libvirt answers again. */
  readonly onConnected: (qemuUser: QemuUser | undefined) => void;
  readonly onDomainEvent: (libvirtName: string) => void;
}

const STOP_TIMEOUT_MS = 3_000;
const READ_THREADS = 1;
/** Longer than the pauses between the steps of one virtual machine. */
const THREAD_IDLE_MS = 60_000;

/**
 * libvirt has one event loop for the whole process. A second event worker would be given callbacks of the first
 * one. Their JavaScript can run only on the thread of the first one, so both would block.
 */
let isLoopTaken = false;

/**
 * The threads that talk to libvirt: one for its events, and as many as needed for calls, which block. Reopens a
 * lost connection, for ever; meanwhile, calls fail with `unavailable`.
 */
export function openConnection(options: ConnectionOptions): LibvirtConnection {
  if (isLoopTaken) {
    throw new N0Error(
      "failed_precondition",
      "a process can have only one libvirt driver: close the other one first",
    );
  }
  isLoopTaken = true;
  const { settings, clock, log, onConnected, onDomainEvent } = options;
  const threads = new Set<Worker>();
  const newThread = (file: string) => {
    const thread = new Worker(new URL(file, import.meta.url), { workerData: settings });
    threads.add(thread);
    thread.once("exit", () => threads.delete(thread));
    return thread;
  };
  let qemuUser: QemuUser | undefined;
  const known = (): ToRpcWorker => ({ kind: "know", qemuUser });
  const pool = createWorkerPool({
    startThread() {
      const thread = newThread("./rpc-worker.ts");
      thread.postMessage(known());
      return thread;
    },
    lanes: {
      change: { width: options.changeThreads, timeoutMs: options.changeTimeoutMs },
      read: { width: READ_THREADS, timeoutMs: options.readTimeoutMs },
    },
    idleMs: THREAD_IDLE_MS,
    clock,
  });
  const eventThread = newThread("./event-worker.ts");

  let state: "connecting" | "connected" | "lost" | "closed" = "connecting";

  function onLost(reason: string): void {
    if (state === "closed" || state === "lost") return;
    log.warn({ uri: settings.uri, reason }, "libvirt does not answer, trying again");
    state = "lost";
  }

  eventThread.on("message", (message: FromEventWorker) => {
    switch (message.kind) {
      case "connected":
        if (state === "closed") break;
        ({ qemuUser } = message);
        pool.broadcast(known());
        state = "connected";
        log.info({ uri: settings.uri }, "connected to libvirt");
        onConnected(qemuUser);
        break;
      case "lost":
        onLost(message.reason);
        break;
      case "event":
        onDomainEvent(message.libvirtName);
        break;
    }
  });
  eventThread.on("error", (error) =>
    onLost(error instanceof Error ? error.message : String(error)),
  );

  const inLane =
    (lane: Lane): CallOf =>
    async (operation, signal) => {
      if (state !== "connected") {
        throw new N0Error("unavailable", "the hypervisor of the node does not answer, try again");
      }
      return await pool.call(lane, operation, signal);
    };

  return {
    change: inLane("change"),
    read: inLane("read"),
    async [Symbol.asyncDispose]() {
      if (state === "closed") return;
      state = "closed";
      pool.close();
      const stop: ToEventWorker = { kind: "stop" };
      eventThread.postMessage(stop);
      isLoopTaken = !(await stopAll([...threads], clock, log));
    },
  };
}

/**
 * Returns whether all threads have ended. A thread that hangs in native code cannot be ended, and must not keep
 * the driver from closing.
 */
async function stopAll(
  threads: readonly Worker[],
  clock: Clock,
  log: ComputeLog,
): Promise<boolean> {
  const ended = new AbortController();
  const exits = Promise.all(threads.map((thread) => once(thread, "exit"))).then(() =>
    ended.abort(),
  );
  const hasEnded = !(await pause(clock, STOP_TIMEOUT_MS, ended.signal));
  if (hasEnded) await exits;
  else {
    log.warn({}, "a thread hangs in libvirt and cannot be ended");
    for (const thread of threads) thread.unref();
  }
  return hasEnded;
}
