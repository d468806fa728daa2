import type { DomainPower } from "../../domain-power.ts";
import type { LibvirtConnection } from "../connection.ts";
import { checkName } from "../domain-paths.ts";
import type { StateWatcher } from "../state-watcher.ts";

export function libvirtPower(connection: LibvirtConnection, watcher: StateWatcher): DomainPower {
  return {
    async ensureStarted(spec, mark, signal) {
      checkName(spec.name);
      await connection.change({ kind: "start", spec, mark }, signal);
    },
    ensureResumed: (name, signal) => change("resume", name, signal),
    ensurePaused: (name, signal) => change("pause", name, signal),
    requestShutdown: (name, signal) => change("shutdown", name, signal),
    reboot: (name, hard, signal) => change(hard ? "reset" : "reboot", name, signal),
    // While a domain powers off, libvirt reports "shutting down" for a moment, even if it was paused.
    ensureOff: (name, signal) => watcher.during(name, () => change("off", name, signal)),
    async state(name, signal) {
      checkName(name);
      return await connection.read({ kind: "observe", name }, signal);
    },
    onEvent: (listener) => watcher.onEvent(listener),
  };

  async function change(
    kind: "resume" | "pause" | "shutdown" | "reset" | "reboot" | "off",
    name: string,
    signal: AbortSignal,
  ): Promise<void> {
    checkName(name);
    await connection.change({ kind, name }, signal);
  }
}
