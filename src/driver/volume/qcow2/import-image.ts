import { rename, rm } from "node:fs/promises";
import { IMAGE_HEAD_BYTES, type ImageFormat, imageFormat } from "../image/image-format.ts";
import { ImageFormatError, parseQcow2Header } from "../image/qcow2-header.ts";
import type { WorkOptions } from "../volume-driver.ts";
import { badImage, checkImageSize } from "../volume-errors.ts";
import { readHead } from "./files.ts";
import { type Checksum, takeIn, tooLong } from "./intake.ts";
import type { QemuImg } from "./qemu-img.ts";

export interface Import {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly totalBytes?: bigint | undefined;
  readonly checksum?: Checksum | undefined;
  /** Where the result is written. */
  readonly to: string;
  /** Where what came is kept meanwhile, unless it is qcow2 already. */
  readonly scratch: string;
  readonly sizeBytes: bigint;
}

export interface ImportLimits {
  readonly virtualSizeBytesMax: bigint;
  readonly idleTimeoutMs: number;
}

/** What an image's own tables and snapshots may take beside `sizeBytes` of data. */
const OVERHEAD_BYTES = 256n * 1024n * 1024n;

/**
 * Takes an image in from outside, looks at it, and makes it a qcow2 of `sizeBytes` at `to`. Progress is
 * first that of the transfer, then, where there is one, afresh that of the conversion.
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
    const fileBytes = await takeIn(scratch, image.bytes, {
      bytesMax,
      idleTimeoutMs: limits.idleTimeoutMs,
      checksum: image.checksum,
      signal,
      onBytes: (doneBytes) =>
        onProgress?.({ doneBytes, ...(totalBytes === undefined ? {} : { totalBytes }) }),
    });
    const { format, virtualSizeBytes } = await inspect(qemuImg, scratch, fileBytes, signal);
    checkImageSize(virtualSizeBytes, sizeBytes, limits.virtualSizeBytesMax);
    await withGoodImage(() => qemuImg.check(scratch, format, fileBytes, signal));

    if (await isAsOurs(scratch, format)) await rename(scratch, to);
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

export function portion(fraction: number, totalBytes: bigint) {
  const millionths = BigInt(Math.floor(fraction * 1e6));
  return { doneBytes: (totalBytes * millionths) / 1_000_000n, totalBytes };
}

async function inspect(
  qemuImg: QemuImg,
  path: string,
  fileBytes: bigint,
  signal: AbortSignal,
): Promise<{ format: ImageFormat; virtualSizeBytes: bigint }> {
  const head = await readHead(path, IMAGE_HEAD_BYTES);
  return await withGoodImage(async () => {
    const format = imageFormat(head, fileBytes);
    if (format === "raw") return { format, virtualSizeBytes: roundUp(fileBytes) };
    return { format, ...(await qemuImg.info(path, format, signal)) };
  });
}

/** An old qcow2, or one with snapshots in it, is converted too: QEMU may refuse to grow it. */
async function isAsOurs(path: string, format: ImageFormat): Promise<boolean> {
  if (format !== "qcow2") return false;
  const { version, snapshots } = parseQcow2Header(await readHead(path, IMAGE_HEAD_BYTES));
  return version === 3 && snapshots === 0;
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
