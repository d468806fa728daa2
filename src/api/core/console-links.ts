/** Makes URLs that work once or for a short time. Each holds a new token. */
export interface ConsoleLinks {
  /**
   * An absolute URL that opens the screen of this virtual machine in a browser, once. It does not open a later
   * virtual machine of the same name.
   */
  consoleUrl(virtualMachineName: string, incarnation: string, asker: string): Promise<string>;
  /** An absolute URL that downloads a block storage while it has this volume. */
  downloadUrl(blockStorageName: string, volumeId: string, asker: string): Promise<string>;
}
