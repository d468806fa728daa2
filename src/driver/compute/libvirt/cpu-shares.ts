import { readFileSync } from "node:fs";

/**
 * The cgroup version that gives domains their share of the processor; `none` if libvirt has no cpu controller.
 */
export type CpuController = "v1" | "v2" | "none";

const V2_CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers";
const MOUNTS = "/proc/self/mounts";

/** Looks where libvirt looks: first in the unified hierarchy, then for a v1 mount with the option `cpu`. */
export function detectCpuController(readText: (path: string) => string = readUtf8): CpuController {
  const v2 = readIfThere(readText, V2_CONTROLLERS);
  if (v2 !== undefined) return v2.split(/\s+/).includes("cpu") ? "v2" : "none";
  for (const line of (readIfThere(readText, MOUNTS) ?? "").split("\n")) {
    const [, , type, options] = line.split(" ");
    if (type === "cgroup" && options?.split(",").includes("cpu") === true) return "v1";
  }
  return "none";
}

/**
 * The number for libvirt's `<cputune><shares>`, which goes to the kernel as it is: cpu.shares from 2
 * to 262144 where one core is 1024, or cpu.weight from 1 to 10000 where one core is 100.
 */
export function cpuShares(controller: CpuController, milliCores: number): number | undefined {
  switch (controller) {
    case "v1":
      return Math.min(262_144, Math.max(2, Math.round((milliCores * 1024) / 1000)));
    case "v2":
      return Math.min(10_000, Math.max(1, Math.round(milliCores / 10)));
    case "none":
      return undefined;
  }
}

function readUtf8(path: string): string {
  return readFileSync(path, "utf8");
}

function readIfThere(readText: (path: string) => string, path: string): string | undefined {
  try {
    return readText(path);
  } catch {
    // A kernel without that cgroup version has no such file, so it has no such controller.
    return undefined;
  }
}
