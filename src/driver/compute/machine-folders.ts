import type { Mark } from "../mark.ts";

/** The folder of a virtual machine. */
export interface FolderInfo {
  /** The virtual machine's name. */
  readonly name: string;
  readonly mark: Mark;
  readonly path: string;
}

/** The folders in which virtual machines have their seeds, sockets and logs. */
export interface MachineFolders {
  /**
   * The folder of the virtual machine, made if need be: for its seed. It keeps the mark that it was made
   * with. Removed by `ensureAbsent`.
   */
  ensureFolder(name: string, mark: Mark): Promise<string>;

  /** The folders that tell who made them. */
  listFolders(signal: AbortSignal): Promise<readonly FolderInfo[]>;
}
