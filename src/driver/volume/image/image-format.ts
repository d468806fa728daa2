import { hasAt, isCertainlyDisk } from "./disk-signs.ts";
import { foreignByEnd, foreignByStart, GIVE_IMAGE } from "./foreign-formats.ts";
import { ImageFormatError, isQcow2, parseQcow2Header, QCOW2_HEAD_BYTES } from "./qcow2-header.ts";
import { textKind } from "./text.ts";
import { checkSparseVmdk, isSparseVmdk, isVmdkDescriptor } from "./vmdk-descriptor.ts";

/** As `qemu-img -f` takes them. */
export type ImageFormat = "qcow2" | "raw" | "vmdk" | "vdi" | "vhdx";

/** What `imageFormat` wants to see of a file. */
export interface ImageSample {
  /** The first `IMAGE_HEAD_BYTES`, or all of a shorter file. */
  readonly head: Uint8Array;
  /** The last `IMAGE_TAIL_BYTES`, or all of a shorter file. */
  readonly tail: Uint8Array;
  readonly fileBytes: bigint;
}

export const IMAGE_HEAD_BYTES = QCOW2_HEAD_BYTES;
export const IMAGE_TAIL_BYTES = 512;

/** qemu-img reads the tables of each, and takes seconds for tens of thousands. */
const SNAPSHOTS_MAX = 1024;
const VDI_SIGNATURE_OFFSET = 0x40;
const VDI_SIGNATURE = 0xbeda107f;
const VDI_TYPE_OFFSET = 0x4c;
const VDI_TYPES = [1, 2];
const VDI_DATA_OFFSET = 0x158;
const VDI_BLOCK_BYTES_OFFSET = 0x178;
const VDI_BLOCKS_ALLOCATED_OFFSET = 0x184;

/** The sample of a file of these bytes. */
export function sampleOf(file: Uint8Array): ImageSample {
  const head = file.subarray(0, IMAGE_HEAD_BYTES);
  return { head, tail: file.subarray(-IMAGE_TAIL_BYTES), fileBytes: BigInt(file.length) };
}

/**
 * The format of an image. It is decided here once and then told to qemu-img, which is never left to
 * guess: what it would take for another format may name files of the node. What is none of the known
 * formats is raw (ISO 9660 images are), unless it is certainly no disk: text, an archive, a document.
 *
 * @throws ImageFormatError for an image that is not whole in itself, of a format that is not allowed, or
 *   none at all. Its message follows "the image", and says what to do.
 */
export function imageFormat({ head, tail, fileBytes }: ImageSample): ImageFormat {
  if (head.length === 0) throw new ImageFormatError("is empty");
  if (isQcow2(head) && head[7] !== 1) return checkQcow2(head);
  if (isSparseVmdk(head)) return rephrase("is a vmdk that must not be used", () => checkVmdk(head));
  if (hasAt(head, 0, "vhdxfile")) return "vhdx";
  if (isVdi(head)) return checkVdi(head, fileBytes);
  checkRaw(head, tail);
  return "raw";
}

function checkRaw(head: Uint8Array, tail: Uint8Array): void {
  if (isVmdkDescriptor(head)) {
    throw new ImageFormatError(
      "is a vmdk descriptor that points to other files: convert it with qemu-img convert -f vmdk -O qcow2, beside them, and give the result",
    );
  }
  const byEnd = foreignByEnd(tail);
  if (byEnd !== undefined) throw new ImageFormatError(byEnd);
  if (isCertainlyDisk(head)) return;
  const byStart = foreignByStart(head);
  if (byStart !== undefined) throw new ImageFormatError(byStart);
  const text = textKind(head);
  if (text !== undefined) throw new ImageFormatError(`is ${text}: ${GIVE_IMAGE}`);
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
  if (header.snapshots > SNAPSHOTS_MAX) {
    throw new ImageFormatError(
      `has ${header.snapshots} snapshots, and at most ${SNAPSHOTS_MAX} are read; convert it with qemu-img convert -O qcow2 and give the result`,
    );
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
