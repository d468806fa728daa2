// The device of KVM, as scripts/host gives it to QEMU's user; here a device that does nothing stands for it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { requirement } from "./requirements.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/host/qemu-access.sh");
const HEAD = `set -euo pipefail
progress() { :; }
record_kvm() { echo "recorded $1"; }
. "$1"
kvm="$2"
`;

describe.runIf(requirement("root") && requirement("libvirt"))("the device of KVM", () => {
  function run(mode: string, script: string): string[] {
    const folder = mkdtempSync(join(tmpdir(), "n0-kvm-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const device = join(folder, "kvm");
    execFileSync("chmod", ["711", folder]);
    // /dev/null, once more.
    execFileSync("mknod", ["-m", mode, device, "c", "1", "3"]);
    const printed = execFileSync("bash", ["-c", HEAD + script, "bash", SCRIPT, device]);
    return printed.toString().trim().split("\n");
  }

  test("is given to QEMU's user where nobody has, and is in the end as it was", () => {
    const script = `
      qemu_may_use_kvm || echo no
      give_kvm
      qemu_may_use_kvm && echo yes
      kvm_access
      return_kvm 600:0:0
      kvm_access`;
    expect(run("600", script)).toEqual([
      "no",
      "recorded 600:0:0",
      "yes",
      "660:0:kvm",
      "600:0:root",
    ]);
  });

  test("stays as it is where QEMU's user may use it, or somebody has changed it since", () => {
    expect(run("666", "give_kvm; kvm_access")).toEqual(["666:0:root"]);
    const script = 'give_kvm; chmod 640 "$kvm"; return_kvm 600:0:0; kvm_access';
    expect(run("600", script)).toEqual(["recorded 600:0:0", "640:0:kvm"]);
  });
});
