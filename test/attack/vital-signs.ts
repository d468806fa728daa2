import { readdirSync, readFileSync } from "node:fs";

/** Values of a process from Linux. */
export interface VitalSigns {
  readonly rssMiB: number;
  /** The largest value so far. */
  readonly peakRssMiB: number;
  readonly descriptors: number;
}

/** Undefined if the process has ended. */
export function vitalSigns(pid: number): VitalSigns | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const mib = (key: string) =>
      Math.round(Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) / 1024);
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    // A process without a parent that waits for it has neither memory nor descriptors.
    if (mib("VmRSS") === 0) return undefined;
    return { rssMiB: mib("VmRSS"), peakRssMiB: mib("VmHWM"), descriptors };
  } catch {
    return undefined;
  }
}

/** The total time since the start in which threads of the process were ready to run and got no processor. */
export function waitedForProcessorMs(pid: number): number {
  try {
    const waits = readdirSync(`/proc/${pid}/task`).map((thread) => {
      const [, waitedNs = 0] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8")
        .split(" ")
        .map(Number);
      return waitedNs / 1e6;
    });
    return waits.reduce((sum, ms) => sum + ms, 0);
  } catch {
    return 0;
  }
}
