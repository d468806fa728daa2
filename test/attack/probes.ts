import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Findings } from "./findings.ts";
import type { Probe, ProbeOrder } from "./prober-child.ts";

export interface Prober extends AsyncDisposable {
  /** The slowest answer since the last call of it. */
  slowestMs(): number;
  /** The present attack, for findings. */
  attack: string;
}

/** Starts a process that asks for health and watches the memory, and reports its findings. */
export function startProber(order: ProbeOrder, answerMsMax: number, findings: Findings): Prober {
  const child = fork(fileURLToPath(new URL("prober-child.ts", import.meta.url)), [], {
    execArgv: [],
  });
  let isWanted = true;
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      // Without it nothing is judged.
      if (isWanted) findings.add({ fault: "the prober has ended", seen: `${code ?? signal}` });
      resolve();
    });
  });
  let slowestMs = 0;
  const prober: Prober = {
    attack: "",
    slowestMs: () => {
      const slowest = slowestMs;
      slowestMs = 0;
      return slowest;
    },
    [Symbol.asyncDispose]: async () => {
      isWanted = false;
      if (child.connected) child.disconnect();
      await ended;
    },
  };
  const judge = (answer: Exclude<Probe, { killedAtMiB: number }>, where: string) => {
    const { tookMs, waitedMs, diskMs, floorMs, failed } = answer;
    // If other processes had the processors or the disk, the server is not to blame.
    const othersMs = waitedMs + diskMs + floorMs;
    const ownMs = Math.max(0, tookMs - othersMs);
    slowestMs = Math.max(slowestMs, ownMs);
    const waits = `${Math.round(waitedMs)} ms without a processor, ${Math.round(diskMs)} ms for the disk`;
    const seen = `${failed ?? "answered"} after ${Math.round(tookMs)} ms, with ${waits} and a floor of ${Math.round(floorMs)} ms`;
    if (ownMs > answerMsMax) {
      findings.add({ fault: `a health check takes more than ${answerMsMax} ms: ${where}`, seen });
    } else if (failed !== undefined && othersMs < answerMsMax) {
      findings.add({ fault: `a health check is not answered: ${where}`, seen });
    }
  };
  child.on("message", (probe: Probe) => {
    const where = `${probe.name} during ${prober.attack}`;
    if ("killedAtMiB" in probe) {
      const seen = `${probe.killedAtMiB} MiB resident: it was ended`;
      findings.add({ fault: `more than ${order.memoryMiB} MiB of memory: ${where}`, seen });
    } else judge(probe, where);
  });
  child.send(order);
  return prober;
}
