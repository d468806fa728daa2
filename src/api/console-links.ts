/** Makes URLs that open something once or for a short while. Each holds a fresh token. */
export interface ConsoleLinks {
  /** Absolute; opens the screen of a virtual machine in a browser, once. */
  consoleUrl(virtualMachineName: string): string;
  /** Absolute; downloads a block storage. */
  downloadUrl(blockStorageName: string): string;
}
