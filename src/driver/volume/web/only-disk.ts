import { IMAGE_HEAD_BYTES, imageFormat } from "../image/image-format.ts";
import { ImageFormatError } from "../image/qcow2-header.ts";

/**
 * The same bytes, if they begin like a disk: with the head of an image format, or as a raw disk with a
 * partition table, an ISO 9660 or an ext file system. Any other bytes may be anything.
 *
 * @throws the error of `orElse`, before it returns any bytes.
 */
export async function* onlyDisk(
  bytes: AsyncIterable<Uint8Array>,
  orElse: () => Error,
): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array();
  for await (const chunk of bytes) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < IMAGE_HEAD_BYTES) continue;
    if (!isDisk(head)) throw orElse();
    yield head;
    head = undefined;
  }
  if (head === undefined) return;
  if (!isDisk(head)) throw orElse();
  yield head;
}

const SIGNATURES: ReadonlyArray<readonly [offset: number, bytes: readonly number[]]> = [
  // The master boot record, which also precedes a GPT.
  [510, [0x55, 0xaa]],
  // The magic of an ext2, ext3 or ext4 superblock at 1024.
  [1024 + 56, [0x53, 0xef]],
  // "CD001" in the first volume descriptor of ISO 9660.
  [32769, [0x43, 0x44, 0x30, 0x30, 0x31]],
];

function isDisk(head: Uint8Array): boolean {
  try {
    // The length and the end of the file are checked when the whole file is here.
    const sample = {
      head: head.subarray(0, IMAGE_HEAD_BYTES),
      tail: new Uint8Array(),
      fileBytes: 2n ** 63n,
    };
    if (imageFormat(sample) !== "raw") return true;
  } catch (error) {
    if (error instanceof ImageFormatError) return false;
    throw error;
  }
  return SIGNATURES.some(([offset, bytes]) => bytes.every((byte, i) => head[offset + i] === byte));
}
