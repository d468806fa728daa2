import { closeSync, openSync, readFileSync } from "node:fs";
import type { Accelerator } from "../domain.ts";

export interface AcceleratorProbes {
  /** True if /dev/kvm opens for reading and writing. */
  readonly canOpenKvm: () => boolean;
  /** The text of /proc/cpuinfo. */
  readonly readCpuInfo: () => string;
}

/**
 * `auto` uses KVM only if `/dev/kvm` opens and the processor shows vmx or svm. On some computers without these
 * flags `/dev/kvm` exists, but an ordinary guest kernel hangs on it.
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
      // Absent or not permitted: QEMU cannot use it either.
      return false;
    }
  },
  readCpuInfo: () => readFileSync("/proc/cpuinfo", "utf8"),
};
