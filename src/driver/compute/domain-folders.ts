import type { Mark } from "../mark.ts";

/** The folder of a virtual machine. */
export interface FolderInfo {
  /** The name of the virtual machine. */
  readonly name: string;
  readonly mark: Mark;
  readonly path: string;
}

/** The folders of virtual machines, which hold seeds, sockets and logs. */
export interface DomainFolders {
  /**
   * Makes the folder of the virtual machine, for its seed, unless it exists. The mark of an existing folder
   * does not change. `ensureAbsent` removes the folder.
   */
  ensureFolder(name: string, mark: Mark): Promise<string>;

  /** The path of the folder that bears a mark of this owner; undefined if there is none. */
  findFolder(owner: string): Promise<string | undefined>;

  /** The folders with a mark. */
  listFolders(signal: AbortSignal): Promise<readonly FolderInfo[]>;
}
