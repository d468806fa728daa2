import { ImageFormatError } from "./qcow2-header.ts";

const SECTOR_BYTES = 512n;
/** QEMU looks for a parent in this many bytes from sector 1, whatever the header says. */
const DESCRIPTOR_BYTES = 20 * 512;
const ALLOWED_TYPES = ["monolithicSparse", "streamOptimized"];

/** True for the text that stands beside the extents of a vmdk and says which files they are. */
export function isVmdkDescriptor(head: Uint8Array): boolean {
  const text = latin1(head.subarray(0, DESCRIPTOR_BYTES));
  return (
    /^\s*#\s*disk\s+descriptorfile/i.test(text) || /^(?:#[^\n]*\n|[ \r\t]*\n)*version=\d/.test(text)
  );
}

export function isSparseVmdk(head: Uint8Array): boolean {
  return latin1(head.subarray(0, 4)) === "KDMV";
}

/**
 * Refuses a sparse vmdk that takes data from any other file: a parent, another extent, or a header of
 * capacity 0, which makes QEMU (block/vmdk.c) read extents from the descriptor inside.
 *
 * Source: VMware's "Virtual Disk Format 5.0", sparse extents and the descriptor file.
 *
 * @throws ImageFormatError saying what it points to.
 */
export function checkSparseVmdk(head: Uint8Array): void {
  if (head.length < 512) throw new ImageFormatError("the header is cut short");
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getBigUint64(12, true) === 0n) throw new ImageFormatError("it has no data of its own");
  if (view.getBigUint64(28, true) !== 1n)
    throw new ImageFormatError("its descriptor is not in sector 1");
  const declaredBytes = Number(view.getBigUint64(36, true) * SECTOR_BYTES);
  if (declaredBytes > head.length) throw new ImageFormatError("its descriptor is too long");
  const text = latin1(head.subarray(512, 512 + Math.max(DESCRIPTOR_BYTES, declaredBytes)));
  if (/parentFileNameHint/i.test(text)) throw new ImageFormatError("it points to a parent file");

  const descriptor = text.split("\0", 1)[0] ?? "";
  const type = /^\s*createType\s*=\s*"([^"]*)"/m.exec(descriptor)?.[1] ?? "";
  if (!ALLOWED_TYPES.includes(type))
    throw new ImageFormatError(`its type is "${type.slice(0, 40)}"`);
  const extents = descriptor.match(/^\s*(?:RW|RDONLY|NOACCESS)\s.*$/gm) ?? [];
  if (extents.length !== 1 || !/^\s*RW\s+\d+\s+SPARSE\s+"[^"/]*"\s*$/.test(extents[0] ?? "")) {
    throw new ImageFormatError("its descriptor points to other files");
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
