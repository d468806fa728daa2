import type { Duplex } from "node:stream";

/** What a guest shows and is typed. */
export interface DomainConsole {
  /** A connection to the guest's screen, speaking RFB. @throws N0Error `failed_precondition` if not active. */
  openVnc(name: string): Promise<Duplex>;

  /** A connection to the guest's serial console. @throws N0Error `failed_precondition` if not active. */
  openSerial(name: string): Promise<Duplex>;

  /**
   * What the guest has printed on its serial console, oldest first, and with `follow` what it prints
   * until `signal` aborts. Kept across reboots; removed with the domain.
   */
  readSerialLog(name: string, follow: boolean, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
