import type { NicSpec } from "./domain.ts";

/** How long a guest has to release a nic. */
export interface Patience {
  readonly timeoutMs: number;
}

/** Changes of the nics of a domain, also while it is active. */
export interface DomainNics {
  /**
   * Gives the domain this nic: its definition, and its guest if the domain is active. A nic of the same hardware
   * address stays as it is. The tap must be in the node's own network namespace.
   *
   * @throws N0Error `failed_precondition` if there is no such domain of ours, its tap is missing, or QEMU has no
   * room for the device.
   */
  ensureNic(name: string, nic: NicSpec, signal: AbortSignal): Promise<void>;

  /**
   * Takes the nic with this hardware address from the domain. Asks the guest of an active domain to release it,
   * and waits. Succeeds if there is no such nic, or no such domain.
   *
   * @throws N0Error `failed_precondition` if the guest does not release it in time: the domain then keeps the
   * nic. The request cannot be taken back, so the guest may still release it later.
   */
  ensureNicAbsent(
    name: string,
    hardwareAddress: string,
    patience: Patience,
    signal: AbortSignal,
  ): Promise<void>;
}
