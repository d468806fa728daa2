import type { DomainState } from "../domain.ts";

/** virDomainState (libvirt/libvirt-domain.h). */
const VIR_DOMAIN = { paused: 3, shutOff: 5, crashed: 6, suspendedByGuest: 7 } as const;
/** virDomainShutoffReason: QEMU ended, and had not said that the guest powered off. */
const SHUTOFF_CRASHED = 3;
/** virDomainPausedReason: of all errors of a disk, only lack of space pauses the domain (`error_policy`). */
const PAUSED_IOERROR = 5;

/** A guest that is shutting down (4) or blocked (2) still runs. */
export function toDomainState({ state, reason }: { state: number; reason: number }): DomainState {
  switch (state) {
    case VIR_DOMAIN.paused:
      return reason === PAUSED_IOERROR ? "out_of_space" : "paused";
    case VIR_DOMAIN.suspendedByGuest:
      return "paused";
    case VIR_DOMAIN.shutOff:
      return reason === SHUTOFF_CRASHED ? "crashed" : "shut_off";
    case VIR_DOMAIN.crashed:
      return "crashed";
    default:
      return "running";
  }
}
