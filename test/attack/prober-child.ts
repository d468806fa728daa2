// Asks the servers for their health during the attack, from an address of its own, and ends a server that takes
// too much memory. It is a process of its own, because the attacker's is busy.
import { once } from "node:events";
import { request } from "node:http";
import process from "node:process";
import { Worker } from "node:worker_threads";
import { defined } from "../../src/util/defined.ts";
import { vitalSigns, waitedSinceMs, waitsForDisk, waitsForProcessor } from "./vital-signs.ts";

export interface ProbeOrder {
  readonly targets: readonly {
    readonly name: string;
    readonly url: string;
    readonly pid: number;
  }[];
  readonly memoryMiB: number;
}

export type Probe =
  | {
      readonly name: string;
      readonly tookMs: number;
      /** The time of these in which the server waited for a processor. */
      readonly waitedMs: number;
      /** The time of these in which it waited for a disk, such as one that flushes for other processes. */
      readonly diskMs: number;
      /** The time that an idle server took at the same moment. */
      readonly floorMs: number;
      /** Why there was no answer. */
      readonly failed?: string;
    }
  | { readonly name: string; readonly killedAtMiB: number };

const PROBE_EVERY_MS = 200;
const WATCH_EVERY_MS = 25;
const TIMEOUT_MS = 20_000;
const TIMED_OUT = "timed out";
/** Not the attacker's address, which has limits of its own. */
const LOCAL_ADDRESS = "127.0.0.2";

function tell(probe: Probe): void {
  // The attack may end at this moment: then nobody reads it, and the disconnection ends this process.
  process.send!(probe, undefined, undefined, () => undefined);
}

/** What is wrong; undefined if nothing is. */
async function health(url: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const sent = request(
    `${url}/grpc.health.v1.Health/Check`,
    {
      method: "POST",
      agent: false,
      localAddress: LOCAL_ADDRESS,
      headers: { "content-type": "application/json" },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    },
    (response) => {
      response.resume();
      response.once("close", () =>
        resolve(response.statusCode === 200 ? undefined : `HTTP ${response.statusCode}`),
      );
    },
  );
  sent.on("error", (error) => resolve(error.name === "AbortError" ? TIMED_OUT : error.message));
  sent.end("{}");
  return await promise;
}

/** The time of a health check, and why it failed if it did. */
async function timed(url: string): Promise<{ tookMs: number; failed: string | undefined }> {
  const startedMs = performance.now();
  const failed = await health(url);
  return { tookMs: performance.now() - startedMs, failed };
}

interface DiskTime {
  ms: number;
}

/** Adds up the time in which the process waits for a disk, as far as it is seen: in steps of some milliseconds. */
function watchDisk(pid: number): DiskTime {
  const time: DiskTime = { ms: 0 };
  let seenAtMs = performance.now();
  setInterval(() => {
    const nowMs = performance.now();
    if (waitsForDisk(pid)) time.ms += nowMs - seenAtMs;
    seenAtMs = nowMs;
  }, WATCH_EVERY_MS);
  return time;
}

async function probe(name: string, url: string, pid: number, control: string): Promise<void> {
  const disk = watchDisk(pid);
  for (;;) {
    const before = waitsForProcessor(pid);
    const diskBeforeMs = disk.ms;
    const [answer, floor] = await Promise.all([timed(url), timed(control)]);
    if (vitalSigns(pid) === undefined) return;
    const waitedMs = waitedSinceMs(before, pid);
    const { tookMs, failed } = answer;
    tell({
      name,
      tookMs,
      waitedMs,
      diskMs: disk.ms - diskBeforeMs,
      floorMs: floor.tookMs,
      ...defined({ failed }),
    });
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
  }
}

function guard(name: string, pid: number, memoryMiB: number): void {
  const timer = setInterval(() => {
    const rssMiB = vitalSigns(pid)?.rssMiB;
    if (rssMiB === undefined) return clearInterval(timer);
    if (rssMiB <= memoryMiB) return;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself in the meantime.
    }
    tell({ name, killedAtMiB: rssMiB });
  }, WATCH_EVERY_MS);
}

async function startControl(): Promise<string> {
  const worker = new Worker(new URL("control-child.ts", import.meta.url));
  const [url] = (await once(worker, "message")) as [string];
  return url;
}

async function begin({ targets, memoryMiB }: ProbeOrder): Promise<void> {
  const control = await startControl();
  for (const { name, url, pid } of targets) {
    guard(name, pid, memoryMiB);
    void probe(name, url, pid, control);
  }
}

process.on("message", (order: ProbeOrder) => void begin(order));
process.on("disconnect", () => process.exit());
