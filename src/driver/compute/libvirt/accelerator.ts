import { closeSync, openSync, readFileSync } from "node:fs";
import type { Accelerator } from "../domain.ts";

export interface AcceleratorProbes {
  /** True if /dev/kvm opens for reading and writing. */
  readonly canOpenKvm: () => boolean;
  /** The text of /proc/cpuinfo. */
  readonly readCpuInfo: () => string;
}

/**
 * `auto` takes KVM only where `/dev/kvm` opens and the processor shows vmx or svm: there are machines
 * with a `/dev/kvm` on which an ordinary guest kernel hangs, and they show neither.
 */
export function chooseAccelerator(
  wanted: "auto" | Accelerator,
  probes: AcceleratorProbes = systemProbes,
): Accelerator {
  if (wanted !== "auto") return wanted;
  const hasExtension = /^flags\s*:.*\b(vmx|svm)\b/m.test(probes.readCpuInfo());
  return hasExtension && probes.canOpenKvm() ? "kvm" : "tcg";
}

const systemProbes: AcceleratorProbes = {
  canOpenKvm() {
    try {
      closeSync(openSync("/dev/kvm", "r+"));
      return true;
    } catch {
      // Absent or not permitted: both mean that QEMU cannot use it.
      return false;
    }
  },
  readCpuInfo: () => readFileSync("/proc/cpuinfo", "utf8"),
};
