import { chmodSync, existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { ensureFolderOf, takeFolder } from "../../file/folder.ts";
import { isRegular } from "../../file/regular-file.ts";
import { isFolderName } from "./domain-paths.ts";
import type { QemuUser } from "./worker-protocol.ts";

/** QEMU's user must get through to what it may open; nobody need see the names. */
const OPEN_MODE = 0o711;
const QEMU_FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS_BITS = 0o077;
const MODE_BITS = 0o7777;

/**
 * Makes sure that root alone can put anything in the folder of a virtual machine: whoever else could, would
 * lead libvirt and us, by a link, to any file of the node. An n0core before gave the folders to QEMU's user;
 * what may have been planted since then goes, and what QEMU and virtlogd have open there stays in use.
 */
export function takeMachineFolder(folder: string): void {
  const found = lstatSync(folder);
  if (found.uid === process.getuid?.() && (found.mode & MODE_BITS) === OPEN_MODE) return;
  takeFolder(folder, OPEN_MODE, isHarmless);
}

/**
 * All folders below `parent`, with their files closed to others: an n0core before has left some open. One
 * that cannot be taken keeps none of the others from it.
 */
export function takeMachineFolders(
  parent: string,
  onFailure: (folder: string, reason: unknown) => void,
): void {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const folder = join(parent, name);
    if (!isFolderName(name)) continue;
    try {
      takeMachineFolder(folder);
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

/** Makes the folder of sockets, in a folder that is root's. Where QEMU's user is not known, it is ours. */
export function ensureQemuFolder(qemuFolder: string, qemuUser: QemuUser | undefined): void {
  const owner = qemuUser ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  ensureFolderOf(owner, qemuFolder, QEMU_FOLDER_MODE);
}

/**
 * The first folder on the way to `path` that this user may not pass through, as far as its mode tells: an
 * access list may tell otherwise.
 */
export function closedFolder(path: string, { uid, gid }: QemuUser): string | undefined {
  if (uid === 0) return undefined;
  const above = path === "/" ? undefined : closedFolder(dirname(path), { uid, gid });
  const found = statSync(path, { throwIfNoEntry: false });
  if (above !== undefined || found === undefined) return above;
  const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001;
  return (found.mode & bit) === 0 ? path : undefined;
}

/**
 * Files, which are opened as what they are, and sockets, over which a virtual machine that runs is reached.
 */
function isHarmless(path: string): boolean {
  return isRegular(path) || lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}
