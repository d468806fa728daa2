import { hasAt, isCertainlyDisk } from "./disk-signs.ts";
import { foreignByEnd, foreignByStart, GIVE_IMAGE } from "./foreign-formats.ts";
import { ImageFormatError, isQcow2, parseQcow2Header, QCOW2_HEAD_BYTES } from "./qcow2-header.ts";
import { textKind } from "./text.ts";
import { checkSparseVmdk, isSparseVmdk, isVmdkDescriptor } from "./vmdk-descriptor.ts";

/** The names for `qemu-img -f`. */
export type ImageFormat = "qcow2" | "raw" | "vmdk" | "vdi" | "vhdx";

/** The parts of a file that `imageFormat` needs. */
export interface ImageSample {
  /** The first `IMAGE_HEAD_BYTES`, or all of a shorter file. */
  readonly head: Uint8Array;
  /** The last `IMAGE_TAIL_BYTES`, or all of a shorter file. */
  readonly tail: Uint8Array;
  readonly fileBytes: bigint;
}

export const IMAGE_HEAD_BYTES = QCOW2_HEAD_BYTES;
export const IMAGE_TAIL_BYTES = 512;

/** qemu-img reads the tables of each snapshot, and takes seconds for tens of thousands. */
const SNAPSHOTS_MAX = 1024;
const VDI_SIGNATURE_OFFSET = 0x40;
const VDI_SIGNATURE = 0xbeda107f;
const VDI_TYPE_OFFSET = 0x4c;
const VDI_TYPES = [1, 2];
const VDI_DATA_OFFSET = 0x158;
const VDI_BLOCK_BYTES_OFFSET = 0x178;
const VDI_BLOCKS_ALLOCATED_OFFSET = 0x184;

/** The sample of a file with these bytes. */
export function sampleOf(file: Uint8Array): ImageSample {
  const head = file.subarray(0, IMAGE_HEAD_BYTES);
  return { head, tail: file.subarray(-IMAGE_TAIL_BYTES), fileBytes: BigInt(file.length) };
}

/**
 * The format of an image. It is decided here once and then passed to qemu-img, which must never guess: in
 * another format, the image may name files of the node. A file of no known format is raw (ISO 9660 images are),
 * unless it is certainly not a disk: text, an archive, a document.
 *
 * @throws ImageFormatError for an image that is not self-contained, has a format that is not allowed, or is not
 * an image. Its message follows "the image", and says what to do.
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
  const header = rephrase("is not a complete qcow2", () => parseQcow2Header(head));
  if (header.backingFile !== undefined)
    throw new ImageFormatError("has a backing file; flatten it first");
  if (header.hasExternalDataFile) throw new ImageFormatError("has an external data file");
  if (header.isEncrypted) throw new ImageFormatError("is encrypted");
  if (header.isCorrupt || header.isDirty) {
    throw new ImageFormatError("was not closed properly; repair it with qemu-img check -r all");
  }
  if (header.snapshots > SNAPSHOTS_MAX) {
    throw new ImageFormatError(
      `has ${header.snapshots} snapshots, and at most ${SNAPSHOTS_MAX} are allowed; convert it with qemu-img convert -O qcow2 and give the result`,
    );
  }
  if (header.unknownFeatures !== 0n) throw new ImageFormatError("has unknown qcow2 features");
  return "qcow2";
}

function checkVmdk(head: Uint8Array): ImageFormat {
  checkSparseVmdk(head);
  return "vmdk";
}

function isVdi(head: Uint8Array): boolean {
  return head.length >= 0x200 && uint32(head, VDI_SIGNATURE_OFFSET) === VDI_SIGNATURE;
}

/**
 * QEMU reads zeros after the end of a truncated vdi, without an error. Source of the offsets: its block/vdi.c.
 */
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
