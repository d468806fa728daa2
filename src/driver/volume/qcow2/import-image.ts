import { rename, rm } from "node:fs/promises";
import type { ImageChecksum } from "../../../util/image-checksum.ts";
import {
  IMAGE_HEAD_BYTES,
  IMAGE_TAIL_BYTES,
  type ImageFormat,
  imageFormat,
} from "../image/image-format.ts";
import { isOwnQcow2 } from "../image/own-qcow2.ts";
import { ImageFormatError, parseQcow2Header } from "../image/qcow2-header.ts";
import type { WorkOptions } from "../volume-driver.ts";
import { badImage, checkImageSize } from "../volume-errors.ts";
import { readHead, readTail } from "./files.ts";
import { takeIn, tooLong } from "./intake.ts";
import type { QemuImg } from "./qemu-img.ts";

export interface Import {
  /** They end by themselves, such as those of `guarded`. */
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly totalBytes?: bigint | undefined;
  readonly checksum?: ImageChecksum | undefined;
  /** Where the result is written. */
  readonly to: string;
  /** Where what came is kept meanwhile, unless it can be kept as it is. */
  readonly scratch: string;
  readonly sizeBytes: bigint;
}

export interface ImportLimits {
  readonly virtualSizeBytesMax: bigint;
}

/** What an image's own tables and snapshots may take beside `sizeBytes` of data. */
const OVERHEAD_BYTES = 256n * 1024n * 1024n;
/** More than any file, so that nothing is said to be cut short. */
const FILE_BYTES_UNKNOWN = 2n ** 64n;

/**
 * Takes an image in from outside, looks at it, and makes it a qcow2 of `sizeBytes` at `to`. Progress is
 * first that of the transfer, then, where there is one, afresh that of the conversion. A qcow2 that our
 * own writer could have made is kept; any other image is converted.
 */
export async function importImage(
  qemuImg: QemuImg,
  limits: ImportLimits,
  image: Import,
  { signal, onProgress }: WorkOptions,
): Promise<void> {
  const { totalBytes, scratch, to, sizeBytes } = image;
  const bytesMax = sizeBytes + sizeBytes / 8n + OVERHEAD_BYTES;
  if (totalBytes !== undefined && totalBytes > bytesMax) throw tooLong(bytesMax);
  try {
    const intake = {
      bytesMax,
      checksum: image.checksum,
      onBytes: (doneBytes: bigint) =>
        onProgress?.({ doneBytes, ...(totalBytes === undefined ? {} : { totalBytes }) }),
    };
    const fileBytes = await withGoodImage(() => takeIn(scratch, startChecked(image.bytes), intake));
    const { format, virtualSizeBytes, isAsOurs } = await inspect(
      qemuImg,
      scratch,
      fileBytes,
      signal,
    );
    checkImageSize(virtualSizeBytes, sizeBytes, limits.virtualSizeBytesMax);
    await withGoodImage(() => qemuImg.check(scratch, format, fileBytes, signal));

    if (isAsOurs) await rename(scratch, to);
    else {
      await qemuImg.convert({ path: scratch, format }, to, signal, (fraction) =>
        onProgress?.(portion(fraction, virtualSizeBytes)),
      );
    }
    if (virtualSizeBytes < sizeBytes) await qemuImg.resize(to, sizeBytes, signal);
  } finally {
    await rm(scratch, { force: true });
  }
}

/** The same bytes; ends with an ImageFormatError as soon as the first ones show that they are no image. */
async function* startChecked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array();
  for await (const chunk of bytes) {
    if (head !== undefined) {
      head = Buffer.concat([head, chunk.subarray(0, IMAGE_HEAD_BYTES - head.length)]);
      if (head.length === IMAGE_HEAD_BYTES) {
        imageFormat({ head, tail: new Uint8Array(), fileBytes: FILE_BYTES_UNKNOWN });
        head = undefined;
      }
    }
    yield chunk;
  }
}

export function portion(fraction: number, totalBytes: bigint) {
  const millionths = BigInt(Math.floor(fraction * 1e6));
  return { doneBytes: (totalBytes * millionths) / 1_000_000n, totalBytes };
}

async function inspect(
  qemuImg: QemuImg,
  path: string,
  fileBytes: bigint,
  signal: AbortSignal,
): Promise<{ format: ImageFormat; virtualSizeBytes: bigint; isAsOurs: boolean }> {
  const head = await readHead(path, IMAGE_HEAD_BYTES);
  const tail = await readTail(path, IMAGE_TAIL_BYTES);
  return await withGoodImage(async () => {
    const format = imageFormat({ head, tail, fileBytes });
    if (format === "raw") {
      return { format, virtualSizeBytes: roundUp(fileBytes), isAsOurs: false };
    }
    const { virtualSizeBytes } = await qemuImg.info(path, format, signal);
    const isAsOurs = format === "qcow2" && isOwnQcow2(parseQcow2Header(head));
    return { format, virtualSizeBytes, isAsOurs };
  });
}

/** QEMU takes the last, broken sector of a raw image for a whole one. */
function roundUp(bytes: bigint): bigint {
  return ((bytes + 511n) / 512n) * 512n;
}

async function withGoodImage<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (cause) {
    throw cause instanceof ImageFormatError ? badImage(cause) : cause;
  }
}
