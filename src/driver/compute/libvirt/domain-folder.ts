import { chmodSync, existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { ensureFolderOf, takeFolder } from "../../file/folder.ts";
import { isRegular } from "../../file/regular-file.ts";
import { isFolderName } from "./domain-paths.ts";
import type { QemuUser } from "./worker-protocol.ts";

/** QEMU's user must be able to pass through. Nobody needs to list the names. */
const OPEN_MODE = 0o711;
const QEMU_FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS_BITS = 0o077;
const MODE_BITS = 0o7777;

/**
 * Makes sure that only root can write to the folder of a virtual machine. Anybody else who can write there
 * could, by a link, lead libvirt and us to any file of the node. An earlier version of n0core gave the folders
 * to QEMU's user. Removes what may have been planted since then, and keeps what QEMU and virtlogd have open.
 */
export function takeDomainFolder(folder: string): void {
  const found = lstatSync(folder);
  if (found.uid === process.getuid?.() && (found.mode & MODE_BITS) === OPEN_MODE) return;
  takeFolder(folder, OPEN_MODE, isHarmless);
}

/**
 * Does this for all folders below `parent`, and closes their files to others: an earlier version of n0core left
 * some open. A failure in one folder does not stop the others.
 */
export function takeDomainFolders(
  parent: string,
  onFailure: (folder: string, reason: unknown) => void,
): void {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const folder = join(parent, name);
    if (!isFolderName(name)) continue;
    try {
      takeDomainFolder(folder);
      for (const file of readdirSync(folder)) closeToOthers(join(folder, file));
    } catch (reason) {
      onFailure(folder, reason);
    }
  }
}

function closeToOthers(path: string): void {
  const found = lstatSync(path);
  if (found.isFile() && (found.mode & OTHERS_BITS) !== 0) chmodSync(path, FILE_MODE);
}

/**
 * Makes the folder of sockets, in a folder that belongs to root. If QEMU's user is not known, the folder is
 * ours.
 */
export function ensureQemuFolder(qemuFolder: string, qemuUser: QemuUser | undefined): void {
  const owner = qemuUser ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  ensureFolderOf(owner, qemuFolder, QEMU_FOLDER_MODE);
}

/**
 * The first folder on the way to `path` that this user cannot pass through, judging by its mode. An access list
 * may say otherwise.
 */
export function closedFolder(path: string, { uid, gid }: QemuUser): string | undefined {
  if (uid === 0) return undefined;
  const above = path === "/" ? undefined : closedFolder(dirname(path), { uid, gid });
  const found = statSync(path, { throwIfNoEntry: false });
  if (above !== undefined || found === undefined) return above;
  const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001;
  return (found.mode & bit) === 0 ? path : undefined;
}

/** A regular file is opened only as such. A socket is how a running virtual machine is reached. */
function isHarmless(path: string): boolean {
  return isRegular(path) || lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}
