import { ImageFormatError, isQcow2, parseQcow2Header, QCOW2_HEAD_BYTES } from "./qcow2-header.ts";
import { checkSparseVmdk, isSparseVmdk, isVmdkDescriptor } from "./vmdk-descriptor.ts";

/** As `qemu-img -f` takes them. */
export type ImageFormat = "qcow2" | "raw" | "vmdk" | "vdi" | "vhdx";

/** What `imageFormat` wants to see of a file: its first bytes. */
export const IMAGE_HEAD_BYTES = QCOW2_HEAD_BYTES;

const VDI_SIGNATURE_OFFSET = 0x40;
const VDI_SIGNATURE = 0xbeda107f;
const VDI_TYPE_OFFSET = 0x4c;
const VDI_TYPES = [1, 2];
const VDI_DATA_OFFSET = 0x158;
const VDI_BLOCK_BYTES_OFFSET = 0x178;
const VDI_BLOCKS_ALLOCATED_OFFSET = 0x184;

/** What is told apart only to be refused with a word that helps, where taking it as raw would not. */
const REFUSED: ReadonlyArray<readonly [head: string, what: string]> = [
  ["QFI\xfb", "a qcow2 of an old version"],
  ["QED\0", "a QED image"],
  ["COWD", "a vmdk of an old version"],
  ["conectix", "a VHD image"],
  ["WithoutFreeSpace", "a Parallels image"],
  ["WithouFreSpacExt", "a Parallels image"],
  ["LUKS\xba\xbe", "encrypted"],
  ["\x1f\x8b", "compressed with gzip; unpack it first"],
  ["\xfd7zXZ\0", "compressed with xz; unpack it first"],
  ["BZh", "compressed with bzip2; unpack it first"],
  ["\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"],
  ["PK\x03\x04", "a zip archive; unpack it first"],
  ["<!DOCTYPE", "a web page"],
  ["<!doctype", "a web page"],
  ["<html", "a web page"],
];

/**
 * The format of an image, from its first bytes. It is decided here once and then told to qemu-img, which
 * is never left to guess: what it would take for another format may name files of the node. What is none
 * of the known formats is raw (ISO 9660 images are).
 *
 * @param head the first `IMAGE_HEAD_BYTES`, or all of a shorter file.
 * @param fileBytes how long the file is in all.
 * @throws ImageFormatError for an image that is not whole in itself, or of a format that is not allowed.
 *   Its message follows "the image".
 */
export function imageFormat(head: Uint8Array, fileBytes: bigint): ImageFormat {
  if (head.length === 0) throw new ImageFormatError("is empty");
  if (isQcow2(head) && head[7] !== 1) return checkQcow2(head);
  if (isSparseVmdk(head)) return rephrase("is a vmdk that must not be used", () => checkVmdk(head));
  if (isVmdkDescriptor(head))
    throw new ImageFormatError("is a vmdk descriptor that points to other files");
  const text = Buffer.from(head.subarray(0, 64)).toString("latin1");
  if (text.startsWith("vhdxfile")) return "vhdx";
  if (isVdi(head)) return checkVdi(head, fileBytes);
  for (const [start, what] of REFUSED) {
    if (text.startsWith(start)) throw new ImageFormatError(`is ${what}`);
  }
  return "raw";
}

function checkQcow2(head: Uint8Array): ImageFormat {
  const header = rephrase("is no whole qcow2", () => parseQcow2Header(head));
  if (header.backingFile !== undefined)
    throw new ImageFormatError("has a backing file; flatten it first");
  if (header.hasExternalDataFile) throw new ImageFormatError("has an external data file");
  if (header.isEncrypted) throw new ImageFormatError("is encrypted");
  if (header.isCorrupt || header.isDirty) {
    throw new ImageFormatError("was not closed properly; repair it with qemu-img check -r all");
  }
  if (header.unknownFeatures !== 0n)
    throw new ImageFormatError("has qcow2 features that are not known");
  return "qcow2";
}

function checkVmdk(head: Uint8Array): ImageFormat {
  checkSparseVmdk(head);
  return "vmdk";
}

function isVdi(head: Uint8Array): boolean {
  return head.length >= 0x200 && uint32(head, VDI_SIGNATURE_OFFSET) === VDI_SIGNATURE;
}

/** QEMU reads zeros where a vdi is cut short, and says nothing. Source of the offsets: its block/vdi.c. */
function checkVdi(head: Uint8Array, fileBytes: bigint): ImageFormat {
  if (!VDI_TYPES.includes(uint32(head, VDI_TYPE_OFFSET))) {
    throw new ImageFormatError("is a vdi that rests on another file");
  }
  const dataBytes =
    BigInt(uint32(head, VDI_BLOCK_BYTES_OFFSET)) *
    BigInt(uint32(head, VDI_BLOCKS_ALLOCATED_OFFSET));
  if (fileBytes < BigInt(uint32(head, VDI_DATA_OFFSET)) + dataBytes) {
    throw new ImageFormatError("is a truncated vdi");
  }
  return "vdi";
}

function uint32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, true);
}

function rephrase<T>(head: string, check: () => T): T {
  try {
    return check();
  } catch (cause) {
    if (!(cause instanceof ImageFormatError)) throw cause;
    throw new ImageFormatError(`${head}: ${cause.message}`, { cause });
  }
}
