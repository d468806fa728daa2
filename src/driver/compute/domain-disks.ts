/** What an active domain is told of its disks. */
export interface DomainDisks {
  /** Tells an active domain that the disk at `path` has grown to `sizeBytes`, growing it on the way. */
  growDisk(name: string, path: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;

  /**
   * Takes back what `growDisk` did to an active domain: the disk at `path` becomes `fromBytes` large again
   * where it is `toBytes` large, and stays as it is where it has another size. What the guest wrote beyond
   * is lost: the caller has looked.
   */
  undoGrowDisk(
    name: string,
    path: string,
    growth: { readonly fromBytes: bigint; readonly toBytes: bigint },
    signal: AbortSignal,
  ): Promise<void>;
}
