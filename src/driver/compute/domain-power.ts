import type { Mark } from "../mark.ts";
import type { DomainEvent, DomainSpec, DomainState } from "./domain.ts";

/** Starts and stops domains, and reports their state. */
export interface DomainPower {
  /**
   * Defines the domain by `spec`, replacing an older definition of ours, and starts it with its processors
   * stopped, so that its taps can be moved before the guest sends a packet. If the domain is active already,
   * nothing changes. A replaced definition of the same owner keeps the mark of the transaction that made the
   * domain.
   *
   * @throws N0Error `failed_precondition` if a domain that is not ours has the name or the uuid, or a disk or
   * tap is missing, in use or damaged; `resource_exhausted` if the node has no room for it; `unavailable` if
   * the hypervisor does not answer, or QEMU ended while it started. The message ends with the last words of
   * QEMU or the hypervisor, without paths of the node.
   */
  ensureStarted(spec: DomainSpec, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Starts the processors, unless they run. @throws N0Error `failed_precondition` if the domain is not active.
   */
  ensureResumed(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Stops the processors and keeps the memory. @throws N0Error `failed_precondition` if the domain is not
   * active.
   */
  ensurePaused(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Presses the power button and does not wait. A guest that does not listen yet, such as one that boots, never
   * notices it.
   *
   * @throws N0Error `failed_precondition` if the domain is not active, or is paused.
   */
  requestShutdown(name: string, signal: AbortSignal): Promise<void>;

  /**
   * With `hard`, presses the reset button. Otherwise presses the power button, after telling QEMU that it means
   * a reboot. A paused domain stays paused after a reset.
   *
   * @throws N0Error `failed_precondition` if the domain is not active or, unless `hard`, is paused.
   */
  reboot(name: string, hard: boolean, signal: AbortSignal): Promise<void>;

  /** Cuts the power and keeps the definition. Succeeds if the domain does not exist or is shut off. */
  ensureOff(name: string, signal: AbortSignal): Promise<void>;

  state(name: string, signal: AbortSignal): Promise<DomainState>;

  /** Calls `listener` at each change of state of a domain of ours, until the returned function is called. */
  onEvent(listener: (event: DomainEvent) => void): () => void;
}
