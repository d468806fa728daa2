import type { Duplex } from "node:stream";

/** The screen and the serial console of a guest. */
export interface DomainConsole {
  /**
   * A connection to the screen of the guest, for RFB. @throws N0Error `failed_precondition` if the domain is
   * not active.
   */
  openVnc(name: string): Promise<Duplex>;

  /**
   * A connection to the serial console of the guest. @throws N0Error `failed_precondition` if the domain is not
   * active.
   */
  openSerial(name: string): Promise<Duplex>;

  /**
   * The output of the guest on its serial console, oldest first; with `follow` also its later output, until
   * `signal` aborts. Reboots keep it. Removing the domain removes it.
   */
  readSerialLog(name: string, follow: boolean, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
