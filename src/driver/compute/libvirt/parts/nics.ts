import type { Clock } from "../../../../util/clock.ts";
import type { DomainNics } from "../../domain-nics.ts";
import { guestKeepsNic } from "../../guest-keeps-nic.ts";
import type { LibvirtConnection } from "../connection.ts";
import { checkName } from "../domain-paths.ts";

const LOOK_AGAIN_MS = 100;

export function libvirtNics(connection: LibvirtConnection, clock: Clock): DomainNics {
  return {
    async ensureNic(name, nic, signal) {
      checkName(name);
      await connection.change({ kind: "plug", name, nic }, signal);
    },
    async ensureNicAbsent(name, hardwareAddress, { timeoutMs }, signal) {
      checkName(name);
      const deadlineMs = clock.monotonicMs() + timeoutMs;
      for (let isRequest = true; ; isRequest = false) {
        const operation = { kind: "unplug", name, hardwareAddress, isRequest } as const;
        if (!(await connection.change(operation, signal))) return;
        if (clock.monotonicMs() >= deadlineMs)
          throw guestKeepsNic(name, hardwareAddress, timeoutMs);
        await clock.sleep(LOOK_AGAIN_MS, signal);
      }
    },
  };
}
