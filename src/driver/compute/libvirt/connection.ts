import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { createWorkerPool, type WorkerPool } from "./worker-pool.ts";
import type {
  DriverSettings,
  EventWorkerData,
  FromEventWorker,
  Operation,
  OperationResult,
  ToEventWorker,
} from "./worker-protocol.ts";

/** As much of pino as is used. */
export interface ComputeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface LibvirtConnection extends AsyncDisposable {
  /** Changes: may take long, so they have threads of their own. */
  readonly change: WorkerPool["call"];
  /** Reads: quick, and never behind a change. */
  readonly read: WorkerPool["call"];
}

export interface ConnectionOptions {
  readonly settings: DriverSettings;
  readonly changeThreads: number;
  readonly changeTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly clock: Clock;
  readonly log: ComputeLog;
  /** Each time libvirt answers again. */
  readonly onConnected: () => void;
  readonly onDomainEvent: (libvirtName: string) => void;
}

const STOP_TIMEOUT_MS = 3_000;

/**
 * libvirt's event loop is one for the whole process. A second event worker would be handed callbacks of
 * the first, whose JavaScript can run on the first's thread only; both would block.
 */
let isLoopTaken = false;

/**
 * The threads that talk to libvirt: one that opens the connection and runs the event loop, and some
 * that do calls, which block. When the connection is lost it is opened again for ever; calls answer
 * `unavailable` meanwhile.
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
  const newThread = () =>
    new Worker(new URL("./rpc-worker.ts", import.meta.url), { workerData: settings });
  const changeThreads = Array.from({ length: options.changeThreads }, newThread);
  const readThreads = [newThread()];
  const changes = createWorkerPool(changeThreads, options.changeTimeoutMs, clock);
  const reads = createWorkerPool(readThreads, options.readTimeoutMs, clock);
  const workerData: EventWorkerData = {
    settings,
    rpcWorkerCount: changeThreads.length + readThreads.length,
  };
  const eventThread = new Worker(new URL("./event-worker.ts", import.meta.url), { workerData });

  let state: "connecting" | "connected" | "lost" | "closed" = "connecting";

  function onLost(reason: string): void {
    if (state === "closed" || state === "lost") return;
    log.warn({ uri: settings.uri, reason }, "libvirt does not answer, trying again");
    state = "lost";
  }

  eventThread.on("message", (message: FromEventWorker) => {
    switch (message.kind) {
      case "connected":
        const { connection, qemuUser } = message;
        for (const pool of [changes, reads]) {
          pool.broadcast({ kind: "attach", connection, qemuUser });
        }
        if (state === "closed") break;
        state = "connected";
        log.info({ uri: settings.uri }, "connected to libvirt");
        onConnected();
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

  const through =
    (pool: WorkerPool): WorkerPool["call"] =>
    async <O extends Operation>(
      operation: O,
      signal?: AbortSignal,
    ): Promise<OperationResult<O["kind"]>> => {
      if (state !== "connected") {
        throw new N0Error("unavailable", "the hypervisor of the node does not answer, try again");
      }
      return await pool.call(operation, signal);
    };

  return {
    change: through(changes),
    read: through(reads),
    async [Symbol.asyncDispose]() {
      if (state === "closed") return;
      state = "closed";
      for (const pool of [changes, reads]) {
        pool.close();
        pool.broadcast({ kind: "stop" });
      }
      const stop: ToEventWorker = { kind: "stop" };
      eventThread.postMessage(stop);
      isLoopTaken = !(await stopAll([eventThread, ...changeThreads, ...readThreads], clock, log));
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
  const hasEnded = await clock.sleep(STOP_TIMEOUT_MS, ended.signal).then(
    () => false,
    () => true,
  );
  if (hasEnded) await exits;
  else {
    log.warn({}, "a thread hangs in libvirt and is left behind");
    for (const thread of threads) thread.unref();
  }
  return hasEnded;
}
