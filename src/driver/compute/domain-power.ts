import type { Mark } from "../mark.ts";
import type { DomainEvent, DomainSpec, DomainState } from "./domain.ts";

/** Whether domains run, and what their guests hear of it. */
export interface DomainPower {
  /**
   * Defines the domain as `spec` says, replacing an older definition of ours, and starts it with its
   * processors stopped, so that its taps can be moved before the guest sends a packet. A domain of
   * ours that is active already is left as it is. A definition that is replaced for the same owner keeps
   * the mark of the transaction that made the domain.
   *
   * @throws N0Error `failed_precondition` if a domain that is not ours has the name or the uuid, or a
   *   disk or tap is missing, in use or damaged; `resource_exhausted` if the node cannot hold it;
   *   `unavailable` if the hypervisor does not answer, or QEMU was ended while it started. The message
   *   has QEMU's or the hypervisor's last words, without the node's paths.
   */
  ensureStarted(spec: DomainSpec, mark: Mark, signal: AbortSignal): Promise<void>;

  /** Lets the processors run. Success if they do. @throws N0Error `failed_precondition` if it is not active. */
  ensureResumed(name: string, signal: AbortSignal): Promise<void>;

  /** Stops the processors; memory is kept. @throws N0Error `failed_precondition` if it is not active. */
  ensurePaused(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Presses the power button. Does not wait. A guest that does not listen yet, such as one that boots, never
   * hears of it.
   *
   * @throws N0Error `failed_precondition` if it is not active, or is paused.
   */
  requestShutdown(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Presses the reset button (`hard`), or has the power button mean a reboot and presses that. One that is
   * paused stays so after a reset.
   *
   * @throws N0Error `failed_precondition` if it is not active or, unless `hard`, is paused.
   */
  reboot(name: string, hard: boolean, signal: AbortSignal): Promise<void>;

  /** Takes the power away; the definition stays. An absent or shut off domain is success. */
  ensureOff(name: string, signal: AbortSignal): Promise<void>;

  state(name: string, signal: AbortSignal): Promise<DomainState>;

  /** Calls `listener` at each change of state of a domain of ours, until the returned function is called. */
  onEvent(listener: (event: DomainEvent) => void): () => void;
}
