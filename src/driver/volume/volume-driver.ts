import type { Mark } from "../mark.ts";
import type { SurveyPage } from "./survey-page.ts";

export interface VolumeInfo {
  readonly id: string;
  readonly mark: Mark;
  readonly path: string;
  /** The size that the guest sees; 0 if something else damaged the file. */
  readonly virtualSizeBytes: bigint;
  /** The space that it takes on the node. */
  readonly actualSizeBytes: bigint;
  /** The volume that this overlay rests on. */
  readonly baseId?: string;
}

/** Everything in the folder under one id, complete or not. */
export interface VolumeSurvey {
  readonly id: string;
  /** Undefined if the owner is not known. */
  readonly mark: Mark | undefined;
  readonly path: string;
  readonly hasFile: boolean;
  /** The file with the mark: `altered` if it cannot be read. */
  readonly sidecar: "whole" | "absent" | "altered";
  /** 0 without a file, or if the file is damaged. */
  readonly virtualSizeBytes: bigint;
  readonly actualSizeBytes: bigint;
  /** The file is not a qcow2. */
  readonly isDamaged: boolean;
  /** The volume that this overlay was made on. */
  readonly baseId?: string;
  /** The backing file that its file names: the id of a volume of the folder, or a path elsewhere. */
  readonly backing?: string;
  /** The number of files of unfinished attempts, which may still run or have died. */
  readonly partialCount: number;
}

export interface Marking {
  readonly baseId?: string;
  /** The former owner, if the volume changes its owner. */
  readonly takenFrom?: string;
}

export interface FetchSource {
  /**
   * A URL for `parseSourceUrl`. A `file:` URL must lie in a folder that the agent allows. It may hold a secret.
   */
  readonly url: string;
  /** `sha256:<hex>` or `sha512:<hex>`. */
  readonly checksum?: string;
}

/** How a volume has grown, in bytes: from one size to another. */
export interface Growth {
  readonly fromBytes: bigint;
  readonly toBytes: bigint;
}

/** `totalBytes` is undefined if the source does not tell its size. */
export interface Progress {
  readonly doneBytes: bigint;
  readonly totalBytes?: bigint;
}

export interface WorkOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A range of a volume as it is read. */
export interface VolumeReading {
  /** The size of the whole volume, not of the range. */
  readonly totalBytes: bigint;
  /**
   * Identifies the bytes of the whole volume, and no others: it covers the volume, its length and every change
   * of its content. Lower-case letters and digits.
   */
  readonly validator: string;
  /** @throws N0Error `aborted` as soon as `validator` no longer fits the bytes. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Keeps the volumes of block storages on this node, as qcow2 files in one folder.
 *
 * A volume's `id` is a `VOLUME_ID` of util/ref.ts. The caller chooses it, and never uses it again after the
 * volume is removed. Every `ensure…` can be repeated; a failed one leaves no file. A volume appears whole: it
 * is made under a temporary name and renamed. If the same owner has the volume already, the call succeeds,
 * whatever the size. A call that takes space is refused or ends if the disk has less free space than must be
 * kept; a call that frees space never is. Implementations pass `volume-driver.suite.ts`.
 *
 * @throws N0Error from each `ensure…`: `resource_exhausted` if the disk is full; `failed_precondition` if
 * another owner has the id; `invalid_argument` for an id or a size that no volume can have; `aborted` while
 * another call changes the volume or makes another one from it.
 */
export interface VolumeDriver {
  ensureEmpty(id: string, sizeBytes: bigint, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Fetches an image from outside, and inspects it before its use: an allowed format (qcow2, raw, vmdk, vdi,
   * vhdx; ISO 9660 is raw; no text, archive or document), no backing file, no external data file, not
   * truncated, not over the size limit. Converts it to a qcow2 of `sizeBytes` that this driver writes. The
   * progress is that of the transfer, which starts again if the transfer does, and then that of the conversion.
   *
   * @throws N0Error `invalid_argument` for a URL, folder or checksum that is not allowed; `failed_precondition`
   * for an image that must not be used, a wrong checksum, an image larger than `sizeBytes`, or a source that
   * refuses; `unavailable` for a source that does not answer now, with the delay that it asks for.
   */
  ensureFetched(
    id: string,
    source: FetchSource,
    sizeBytes: bigint,
    mark: Mark,
    options: WorkOptions,
  ): Promise<void>;

  /**
   * Makes an overlay on `baseId`, which takes milliseconds. @throws N0Error `failed_precondition` if the base
   * does not exist, or `sizeBytes` is below its size.
   */
  ensureOverlay(
    id: string,
    baseId: string,
    sizeBytes: bigint,
    mark: Mark,
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Makes a full, flattened copy of a volume on this node. @throws N0Error `failed_precondition` if the source
   * does not exist, or `sizeBytes` is below its size.
   */
  ensureCopy(
    id: string,
    sourceId: string,
    sizeBytes: bigint,
    mark: Mark,
    options: WorkOptions,
  ): Promise<void>;

  /**
   * Makes a volume from the bytes of `read` on another node. Inspects them like a fetched image, and keeps them
   * unchanged if this driver could have made them.
   */
  ensureReceived(
    id: string,
    bytes: AsyncIterable<Uint8Array>,
    sizeBytes: bigint,
    mark: Mark,
    options: WorkOptions,
  ): Promise<void>;

  /**
   * Grows a volume that no running domain uses. @throws N0Error `not_found`; `failed_precondition` for a
   * smaller size, for a base of overlays, or while a domain uses it.
   */
  ensureSize(id: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;

  /** Throws the errors that `ensureSize` finds before it changes anything. */
  checkSize(id: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;

  /**
   * Undoes the growth of a volume. If its size is not `toBytes`, or it does not exist, the call succeeds and
   * changes nothing: the growth never happened, or is undone. It accepts any size, because the growth itself
   * may have been refused for its size.
   *
   * @throws N0Error `failed_precondition` if the removed part holds data, or while a domain uses the volume.
   */
  undoGrowth(id: string, growth: Growth, signal: AbortSignal): Promise<void>;

  /**
   * For a volume that a running domain may use. It cannot see data that the guest has not flushed yet.
   *
   * @throws N0Error `failed_precondition` if the volume holds data from `offsetBytes` on.
   */
  checkUnusedFrom(id: string, offsetBytes: bigint, signal: AbortSignal): Promise<void>;

  /** Throws the errors that any `ensure…` that takes space would find. @throws N0Error `resource_exhausted`. */
  checkRoom(signal: AbortSignal): Promise<void>;

  /**
   * Throws the errors that `ensureAbsent` finds before it changes anything.
   *
   * @param removedBefore The overlays that will be gone by then.
   */
  checkAbsent(id: string, removedBefore: readonly string[], signal: AbortSignal): Promise<void>;

  /**
   * Removes the volume, and everything that an interrupted attempt to make it left. Succeeds if there is none.
   * @throws N0Error `failed_precondition` while it is the base of an overlay.
   */
  ensureAbsent(id: string, signal: AbortSignal): Promise<void>;

  find(id: string, signal: AbortSignal): Promise<VolumeInfo | undefined>;

  list(signal: AbortSignal): Promise<readonly VolumeInfo[]>;

  /**
   * Like `list`, with incomplete and damaged volumes, and with what each file says itself. In the order of ids.
   * It reads only the files on the page; all without one.
   */
  survey(signal: AbortSignal, page?: SurveyPage): Promise<readonly VolumeSurvey[]>;

  /**
   * Writes the owner of the volume, and the volume that it rests on, into its sidecar. A mark of the same owner
   * stays.
   *
   * @throws N0Error `not_found` without the file; `failed_precondition` if its owner is neither that of `mark`
   * nor `takenFrom`.
   */
  ensureMarked(id: string, mark: Mark, how: Marking, signal: AbortSignal): Promise<void>;

  /** The path of the volume's file, whether or not it exists. */
  path(id: string): string;

  /**
   * The paths of the files that the volume rests on, the nearest first.
   *
   * @throws N0Error `failed_precondition` if the volume or one of them is missing, or if a file names another
   * base than the one that it was made on.
   */
  backing(id: string, signal: AbortSignal): Promise<readonly string[]>;

  /**
   * The volume as one self-contained qcow2 file, from `offset`, at most `length` bytes. An overlay is first
   * flattened into a temporary file, which is kept for later ranges while the volume does not change. A range
   * at the very end may be empty. Nothing may use the volume in the meantime.
   *
   * @throws N0Error `not_found`; `out_of_range` for an `offset` past the end; `aborted` if something writes to
   * the volume.
   */
  read(
    id: string,
    range: { readonly offset: bigint; readonly length?: bigint },
    signal: AbortSignal,
  ): Promise<VolumeReading>;
}
