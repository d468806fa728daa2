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

/** The time since its start in which each thread of the process was ready to run and got no processor. */
export type Waits = ReadonlyMap<string, number>;

export function waitsForProcessor(pid: number): Waits {
  const waits = new Map<string, number>();
  for (const thread of threadsOf(pid)) {
    try {
      const schedstat = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
      waits.set(thread, Number(schedstat.split(" ")[1]) / 1e6);
    } catch {
      // It has ended in the meantime.
    }
  }
  return waits;
}

/** By how much these have grown. A thread that has ended since `before` does not count: its time is lost. */
export function waitedSinceMs(before: Waits, pid: number): number {
  let sumMs = 0;
  for (const [thread, ms] of waitsForProcessor(pid)) sumMs += ms - (before.get(thread) ?? 0);
  return sumMs;
}

/** Whether its first thread, which answers, waits for a disk at this moment: state D of proc(5). */
export function waitsForDisk(pid: number): boolean {
  try {
    return /^State:\s+D/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
