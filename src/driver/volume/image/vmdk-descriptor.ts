import { ImageFormatError } from "./qcow2-header.ts";

const SECTOR_BYTES = 512n;
/** QEMU looks for a parent in this many bytes from sector 1, whatever the header says. */
const DESCRIPTOR_BYTES = 20 * 512;
const ALLOWED_TYPES = ["monolithicSparse", "streamOptimized"];

/** True for the text file that lists the extents of a vmdk, which are other files. */
export function isVmdkDescriptor(head: Uint8Array): boolean {
  let isFirst = true;
  for (const line of linesOf(latin1(head.subarray(0, DESCRIPTOR_BYTES)))) {
    const text = line.trim();
    if (text === "") continue;
    if (isFirst && isDescriptorTitle(text)) return true;
    isFirst = false;
    if (!text.startsWith("#")) return /^version=\d/.test(text);
  }
  return false;
}

/** `# Disk DescriptorFile`, in any spacing and case. */
function isDescriptorTitle(line: string): boolean {
  const [first = "", second = ""] = line.slice(1).trim().toLowerCase().split(/\s+/, 2);
  return line.startsWith("#") && first === "disk" && second.startsWith("descriptorfile");
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
 * @throws ImageFormatError that says what it points to.
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

  const lines = linesOf(text.split("\0", 1)[0] ?? "").map((line) => line.trim());
  const type = lines.map(createType).find((found) => found !== undefined) ?? "";
  if (!ALLOWED_TYPES.includes(type))
    throw new ImageFormatError(`its type is "${type.slice(0, 40)}"`);
  const [extent = "", ...more] = lines.filter((line) => /^(?:RW|RDONLY|NOACCESS)\s/.test(line));
  if (more.length > 0 || !/^RW\s+\d+\s+SPARSE\s+"[^"/]*"$/.test(extent)) {
    throw new ImageFormatError("its descriptor points to other files");
  }
}

/** The value of a line `createType="…"`. */
function createType(line: string): string | undefined {
  const at = line.indexOf("=");
  if (at === -1 || line.slice(0, at).trim() !== "createType") return undefined;
  return /^"([^"]*)"/.exec(line.slice(at + 1).trim())?.[1];
}

/** A pattern over a whole text may take quadratic time. A pattern over parts of a line does not. */
function linesOf(text: string): string[] {
  return text.split(/[\r\n]/);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
