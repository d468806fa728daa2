import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync } from "node:fs";
import process from "node:process";

const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const READABLE_BY_GROUP = 0o640;
const MODE_BITS = 0o7777;

/**
 * Lets QEMU, which has the group `gid`, read a file that disks rest on, and nothing more. libvirt would give the
 * file to QEMU's user at each start. Then QEMU could write to it, and who copies it would see a change.
 */
export function openToQemu(path: string, gid: number): void {
  change(path, gid, () => true);
}

/**
 * Like `openToQemu`, for a file that is about to be copied: a start of a virtual machine that rests on it
 * changes nothing after that. Leaves the disk of a running virtual machine to QEMU's user, who has it.
 */
export function openBeforeCopy(path: string, gid: number): void {
  change(path, gid, (ownerUid) => ownerUid === rootUid());
}

function change(path: string, gid: number, mayTake: (ownerUid: number) => boolean): void {
  const file = openSync(path, READ_ONLY);
  try {
    const found = fstatSync(file);
    const mode = found.mode & MODE_BITS;
    const isOpen = found.uid === rootUid() && found.gid === gid && mode === READABLE_BY_GROUP;
    if (isOpen || !found.isFile() || !mayTake(found.uid)) return;
    fchownSync(file, rootUid(), gid);
    fchmodSync(file, READABLE_BY_GROUP);
  } finally {
    closeSync(file);
  }
}

function rootUid(): number {
  return process.getuid?.() ?? 0;
}
