/** Changes of the disks of an active domain. */
export interface DomainDisks {
  /** Grows the disk at `path` of an active domain to `sizeBytes`, and tells the guest. */
  growDisk(name: string, path: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;

  /**
   * Undoes `growDisk` for an active domain: changes the disk at `path` from `toBytes` back to `fromBytes`. A
   * disk of any other size stays as it is. Data of the guest beyond `fromBytes` is lost, so the caller must
   * check for it first.
   */
  undoGrowDisk(
    name: string,
    path: string,
    growth: { readonly fromBytes: bigint; readonly toBytes: bigint },
    signal: AbortSignal,
  ): Promise<void>;
}
