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

/** As much of pino as is used. */
export interface ComputeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

type CallOf = <O extends Operation>(
  operation: O,
  signal?: AbortSignal,
) => Promise<OperationResult<O["kind"]>>;

export interface LibvirtConnection extends AsyncDisposable {
  /** Changes: may take long. */
  readonly change: CallOf;
  /** Reads: quick, and never behind a change. */
  readonly read: CallOf;
}

export interface ConnectionOptions {
  readonly settings: DriverSettings;
  readonly changeThreads: number;
  readonly changeTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly clock: Clock;
  readonly log: ComputeLog;
  /** Each time libvirt answers again. */
  readonly onConnected: (qemuUser: QemuUser | undefined) => void;
  readonly onDomainEvent: (libvirtName: string) => void;
}

const STOP_TIMEOUT_MS = 3_000;
const READ_THREADS = 1;
/** Longer than what lies between the steps of one virtual machine. */
const THREAD_IDLE_MS = 60_000;

/**
 * libvirt's event loop is one for the whole process. A second event worker would be handed callbacks of
 * the first, whose JavaScript can run on the first's thread only; both would block.
 */
let isLoopTaken = false;

/**
 * The threads that talk to libvirt: one that hears its events, and as many as are needed that do calls,
 * which block. When the connection is lost it is opened again for ever; calls answer `unavailable`
 * meanwhile.
 */
export function openConnection(options: ConnectionOptions): LibvirtConnection {
  if (isLoopTaken) {
    throw new N0Error(
      "failed_precondition",
      "a process can have one libvirt driver: close the other first",
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
 * Answers whether all have ended. A thread that hangs in native code cannot be ended; it must not keep
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
    log.warn({}, "a thread hangs in libvirt and is left behind");
    for (const thread of threads) thread.unref();
  }
  return hasEnded;
}
