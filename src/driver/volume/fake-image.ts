import { createHash } from "node:crypto";
import type { ImageChecksum } from "../../util/image-checksum.ts";
import { imageFormat, sampleOf } from "./image/image-format.ts";
import { ImageFormatError, parseQcow2Header } from "./image/qcow2-header.ts";
import { badImage, checkImageSize, refused } from "./volume-errors.ts";

/** @throws N0Error `failed_precondition` if the bytes have another checksum. */
export function checkDigest(bytes: Uint8Array, checksum: ImageChecksum | undefined): void {
  if (checksum === undefined) return;
  const { algorithm, hex } = checksum;
  const digest = createHash(algorithm).update(bytes).digest("hex");
  if (digest !== hex) throw refused(`checksum: the source has ${algorithm}:${digest}`);
}

/** @throws N0Error if the bytes are not an image, or do not fit into a volume of this size. */
export function checkImage(bytes: Uint8Array, sizeBytes: bigint, sizeBytesMax: bigint): void {
  let imageBytes: bigint;
  try {
    const format = imageFormat(sampleOf(bytes));
    imageBytes =
      format === "qcow2" ? parseQcow2Header(bytes).virtualSizeBytes : BigInt(bytes.length);
  } catch (cause) {
    throw cause instanceof ImageFormatError ? badImage(cause) : cause;
  }
  checkImageSize(imageBytes, sizeBytes, sizeBytesMax);
}
