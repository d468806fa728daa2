import { type ImageFormat, type ImageSample, imageFormat } from "./image-format.ts";
import { isOwnQcow2 } from "./own-qcow2.ts";
import { parseQcow2Header } from "./qcow2-header.ts";

/** What the first and last bytes of an image show. */
export interface Inspected {
  readonly format: ImageFormat;
  /** Undefined if only qemu-img can tell. */
  readonly virtualSizeBytes?: bigint;
  /** Whether it is a qcow2 that our own writer could have made. */
  readonly isAsOurs: boolean;
}

/** QEMU reads the incomplete last sector of an image as a whole one. */
const SECTOR_BYTES = 512n;

/** @throws ImageFormatError if the file is not an image that may be used. */
export function inspectImage(sample: ImageSample): Inspected {
  const format = imageFormat(sample);
  if (format === "raw") {
    return { format, virtualSizeBytes: wholeSectors(sample.fileBytes), isAsOurs: false };
  }
  if (format !== "qcow2") return { format, isAsOurs: false };
  const header = parseQcow2Header(sample.head);
  const virtualSizeBytes = wholeSectors(header.virtualSizeBytes);
  return { format, virtualSizeBytes, isAsOurs: isOwnQcow2(header) };
}

function wholeSectors(bytes: bigint): bigint {
  return ((bytes + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES;
}
