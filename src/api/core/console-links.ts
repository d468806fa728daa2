/** Makes URLs that open something once or for a short while. Each holds a fresh token. */
export interface ConsoleLinks {
  /** Absolute; opens the screen of this virtual machine, and of no later one, in a browser, once. */
  consoleUrl(virtualMachineName: string, incarnation: string, asker: string): Promise<string>;
  /** Absolute; downloads a block storage, as long as its volume is this one. */
  downloadUrl(blockStorageName: string, volumeId: string, asker: string): Promise<string>;
}
