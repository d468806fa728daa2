import type { Ref } from "../../util/ref.ts";

/** Makes URLs that work once or for a short time. Each holds a new token. */
export interface ConsoleLinks {
  /**
   * An absolute URL that opens the screen of this virtual machine in a browser, once. It does not open a later
   * virtual machine of the same name.
   */
  consoleUrl(virtualMachine: Ref, incarnation: string, asker: string): Promise<string>;
  /** An absolute URL that downloads a block storage while it has this volume. */
  downloadUrl(blockStorage: Ref, volumeId: string, asker: string): Promise<string>;
}
