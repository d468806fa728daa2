import { invalid, N0Error, notFound } from "../../util/errors.ts";
import { VOLUME_ID } from "../../util/ref.ts";
import type { Mark } from "../mark.ts";
import type { ImageFormatError } from "./image/qcow2-header.ts";

/** The unit of sizes in qcow2. */
const SECTOR_BYTES = 512n;

/** @throws N0Error `invalid_argument`. */
export function checkVolumeId(id: string): void {
  if (!VOLUME_ID.test(id)) throw invalid("id", `must match ${VOLUME_ID.source}`);
}

/**
 * `sizeBytes` rounded up to whole sectors. @throws N0Error `invalid_argument` for 0 or more than `maxBytes`.
 */
export function checkedSize(sizeBytes: bigint, maxBytes: bigint): bigint {
  if (sizeBytes <= 0n || sizeBytes > maxBytes) {
    throw invalid("limit_bytes", `must be from 1 to ${maxBytes}`);
  }
  return wholeSectors(sizeBytes);
}

/** The size of the file for a requested size. */
export function wholeSectors(sizeBytes: bigint): bigint {
  return ((sizeBytes + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES;
}

/** @throws N0Error `failed_precondition` if another owner has the volume. */
export function checkOwner(id: string, found: Mark, wanted: Mark): void {
  if (found.owner !== wanted.owner) {
    throw refused(`volume "${id}" is already in use by ${found.owner}`);
  }
}

/** @throws N0Error `failed_precondition` for an image that is larger than the limit or the requested size. */
export function checkImageSize(imageBytes: bigint, sizeBytes: bigint, maxBytes: bigint): void {
  if (imageBytes > maxBytes) {
    throw refused(`the image is ${imageBytes} bytes large; this node takes at most ${maxBytes}`);
  }
  if (imageBytes > sizeBytes) throw tooSmall("the image", imageBytes, sizeBytes);
}

export function tooSmall(what: string, neededBytes: bigint, sizeBytes: bigint): N0Error {
  const rule = `is ${sizeBytes}, but ${what} needs at least ${neededBytes}`;
  return new N0Error("failed_precondition", `limit_bytes: ${rule}`, { field: "limit_bytes" });
}

export function cannotShrink(id: string, nowBytes: bigint): N0Error {
  const rule = `volume "${id}" is ${nowBytes} bytes large and cannot shrink`;
  return new N0Error("failed_precondition", `limit_bytes: ${rule}`, { field: "limit_bytes" });
}

export function isUsedFrom(id: string, offsetBytes: bigint): N0Error {
  return refused(
    `volume "${id}" holds data from byte ${offsetBytes} on: it cannot shrink back without losing that`,
  );
}

export function badImage(cause: ImageFormatError): N0Error {
  return refused(`the image ${cause.message}`, cause);
}

export function isBase(id: string, overlays: readonly string[]): N0Error {
  const named = overlays.slice(0, 3).join(", ");
  return refused(
    `volume "${id}" is the base of ${overlays.length} others (${named}); remove them first`,
  );
}

export function damaged(id: string): N0Error {
  return refused(
    `volume "${id}" is damaged: its file is not a qcow2 any more; restore or remove it`,
  );
}

export function lacksSidecar(id: string): N0Error {
  return refused(`the base of volume "${id}" is no longer known: let verify repair it`);
}

/** For a file that names another base than the one that it was made on. */
export function restsOnOther(id: string): N0Error {
  return refused(
    `the file of volume "${id}" names another base than the one that it was made on: run verify, and ` +
      "restore or remove it",
  );
}

export function noVolume(id: string): N0Error {
  return notFound("volume", id);
}

/** For an offset at which no range can begin. */
export function beyondEnd(id: string, offset: bigint, totalBytes: bigint): N0Error {
  const rule = `is ${offset}, but volume "${id}" reads as ${totalBytes} bytes`;
  return new N0Error("out_of_range", `offset: ${rule}`, { field: "offset" });
}

export function changedWhileRead(id: string): N0Error {
  return new N0Error("aborted", `volume "${id}" changed while it was read; read it again`);
}

/** For a volume from which another one was to be made. */
export function noSource(id: string): N0Error {
  return refused(`volume "${id}" is not on this node`);
}

/** The kernel makes a disk that is about to fail read-only. Nothing changes until somebody has looked at it. */
export function readOnly(cause?: unknown): N0Error {
  return new N0Error(
    "failed_precondition",
    "the node's volume folder is read-only; check its disk and make it writable",
    { cause },
  );
}

export function diskFull(cause?: unknown): N0Error {
  return new N0Error(
    "resource_exhausted",
    "the node's disk is full; free space or use another node",
    {
      cause,
    },
  );
}

export function refused(message: string, cause?: unknown): N0Error {
  return new N0Error("failed_precondition", message, { cause });
}
