import { rename, rm } from "node:fs/promises";
import { defined } from "../../../util/defined.ts";
import type { ImageChecksum } from "../../../util/image-checksum.ts";
import { IMAGE_HEAD_BYTES, IMAGE_TAIL_BYTES } from "../image/image-format.ts";
import type { Inspected } from "../image/inspect-image.ts";
import type { Inspector } from "../image/inspector.ts";
import { ImageFormatError } from "../image/qcow2-header.ts";
import type { WorkOptions } from "../volume-driver.ts";
import { badImage, checkImageSize } from "../volume-errors.ts";
import { readHead, readTail } from "./files.ts";
import type { ForeignImages } from "./foreign-images.ts";
import { takeIn, tooLong } from "./intake.ts";
import type { QemuImg } from "./qemu-img.ts";

export interface Import {
  /** They must end by themselves, like those of `guarded`. */
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly totalBytes?: bigint | undefined;
  readonly checksum?: ImageChecksum | undefined;
  /** The path of the result. */
  readonly to: string;
  /** The path of the received bytes in the meantime, unless they are kept as they are. */
  readonly scratch: string;
  readonly sizeBytes: bigint;
  /** Whether another node of ours sends it: what that node has made is kept as it is. */
  readonly isFromNode: boolean;
}

export interface Importer {
  readonly inspector: Inspector;
  readonly foreignImages: ForeignImages;
  /** For a file that is kept as it is. */
  readonly qemuImg: QemuImg;
  readonly virtualSizeBytesMax: bigint;
}

/** The most bytes for tables and snapshots of an image, beside `sizeBytes` of data. */
const OVERHEAD_BYTES = 256n * 1024n * 1024n;
/** More than the size of any file, so that nothing counts as truncated. */
const FILE_BYTES_UNKNOWN = 2n ** 64n;

/**
 * Receives an image from outside, inspects it, and makes it a qcow2 of `sizeBytes` at `to`. The progress is
 * first that of the transfer and then, if there is one, that of the conversion. A qcow2 from another node is
 * kept if our own writer could have made it. Any other image is converted.
 */
export async function importImage(
  importer: Importer,
  image: Import,
  { signal, onProgress }: WorkOptions,
): Promise<void> {
  const { inspector, foreignImages, qemuImg, virtualSizeBytesMax } = importer;
  const { totalBytes, scratch, to, sizeBytes } = image;
  const bytesMax = sizeBytes + sizeBytes / 8n + OVERHEAD_BYTES;
  if (totalBytes !== undefined && totalBytes > bytesMax) throw tooLong(bytesMax);
  try {
    const intake = {
      bytesMax,
      checksum: image.checksum,
      onBytes: (doneBytes: bigint) => onProgress?.({ doneBytes, ...defined({ totalBytes }) }),
    };
    await withGoodImage(async () => {
      const bytes = startChecked(inspector, image.bytes, signal);
      const fileBytes = await takeIn(scratch, bytes, intake);
      const seen = await inspect(inspector, scratch, fileBytes, signal);
      await foreignImages.use(scratch, seen.format, signal, async (foreign) => {
        const virtualSizeBytes = seen.virtualSizeBytes ?? (await foreign.virtualSizeBytes());
        checkImageSize(virtualSizeBytes, sizeBytes, virtualSizeBytesMax);
        await foreign.check(fileBytes);
        if (seen.isAsOurs && image.isFromNode) {
          await rename(scratch, to);
          if (virtualSizeBytes < sizeBytes) await qemuImg.resize(to, sizeBytes, signal);
        } else {
          const report = (fraction: number) => onProgress?.(portion(fraction, virtualSizeBytes));
          await foreign.convert(to, sizeBytes, report);
        }
      });
    });
  } finally {
    await rm(scratch, { force: true });
  }
}

/** The same bytes. Ends with an ImageFormatError as soon as the first ones show that they are not an image. */
async function* startChecked(
  inspector: Inspector,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array();
  for await (const chunk of bytes) {
    if (head !== undefined) {
      head = Buffer.concat([head, chunk.subarray(0, IMAGE_HEAD_BYTES - head.length)]);
      if (head.length === IMAGE_HEAD_BYTES) {
        const sample = { head, tail: new Uint8Array(), fileBytes: FILE_BYTES_UNKNOWN };
        await inspector.inspect(sample, signal);
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
  inspector: Inspector,
  path: string,
  fileBytes: bigint,
  signal: AbortSignal,
): Promise<Inspected> {
  const head = await readHead(path, IMAGE_HEAD_BYTES);
  const tail = await readTail(path, IMAGE_TAIL_BYTES);
  return await inspector.inspect({ head, tail, fileBytes }, signal);
}

async function withGoodImage<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (cause) {
    throw cause instanceof ImageFormatError ? badImage(cause) : cause;
  }
}
