import { Worker } from "node:worker_threads";
import { orAborted } from "../../../util/race.ts";
import type { ImageSample } from "./image-format.ts";
import type { Inspected } from "./inspect-image.ts";
import type { FromInspectWorker, ToInspectWorker } from "./inspect-worker.ts";
import { ImageFormatError } from "./qcow2-header.ts";

/** Inspects images in a thread of its own, so that no image delays other requests. */
export interface Inspector {
  /**
   * @throws ImageFormatError if the file is not an image that may be used; the reason of the signal if it
   * aborts.
   */
  inspect(sample: ImageSample, signal: AbortSignal): Promise<Inspected>;
}

export interface InspectorOptions {
  readonly startThread?: () => Worker;
  /** The limit for one sample, which takes milliseconds. A thread that needs longer is ended. */
  readonly timeoutMs?: number;
  /** How long the idle thread is kept. */
  readonly idleMs?: number;
}

interface Asked {
  readonly sample: ImageSample;
  readonly promise: Promise<Inspected>;
  readonly resolve: (inspected: Inspected) => void;
  readonly reject: (reason: unknown) => void;
}

export function newInspector({
  startThread = () => new Worker(new URL("./inspect-worker.ts", import.meta.url)),
  timeoutMs = 10_000,
  idleMs = 30_000,
}: InspectorOptions = {}): Inspector {
  let thread: Worker | undefined;
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  const asked = new Map<number, Asked>();

  function started(): Worker {
    const worker = startThread();
    worker.on("message", (answer: FromInspectWorker) => {
      const one = asked.get(answer.id);
      asked.delete(answer.id);
      if ("inspected" in answer) one?.resolve(answer.inspected);
      else if ("refusal" in answer) one?.reject(new ImageFormatError(answer.refusal));
      else one?.reject(answer.fault);
      wait();
    });
    worker.on("error", (reason) => end(worker, reason));
    worker.unref();
    return worker;
  }

  /** Restarts the time, for the next answer or the next question. */
  function wait(): void {
    clearTimeout(timer);
    const worker = thread;
    if (worker === undefined) return;
    const isBusy = asked.size > 0;
    // Keep the process alive only while somebody waits for an answer.
    if (isBusy) worker.ref();
    else worker.unref();
    timer = setTimeout(
      () => end(worker, new ImageFormatError("takes too long to inspect")),
      isBusy ? timeoutMs : idleMs,
    );
    if (!isBusy) timer.unref();
  }

  /** The current image is at fault. A new thread inspects the others. */
  function end(worker: Worker, reason: unknown): void {
    if (thread !== worker) return;
    thread = undefined;
    clearTimeout(timer);
    void worker.terminate();
    const [guilty, ...others] = asked.values();
    asked.clear();
    guilty?.reject(reason);
    for (const one of others) ask(one);
  }

  function ask(one: Asked): void {
    thread ??= started();
    count += 1;
    asked.set(count, one);
    thread.postMessage({ id: count, sample: one.sample } satisfies ToInspectWorker);
    if (asked.size === 1) wait();
  }

  return {
    async inspect(sample, signal) {
      signal.throwIfAborted();
      const one: Asked = { sample, ...Promise.withResolvers<Inspected>() };
      ask(one);
      return await orAborted(one.promise, signal);
    },
  };
}
