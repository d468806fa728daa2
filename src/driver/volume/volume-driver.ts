import type { Mark } from "../mark.ts";

export interface VolumeInfo {
  readonly id: string;
  readonly mark: Mark;
  readonly path: string;
  /** What the guest sees. 0 where the file was damaged from outside. */
  readonly virtualSizeBytes: bigint;
  /** What it takes on the node. */
  readonly actualSizeBytes: bigint;
  /** The volume this one is an overlay on. */
  readonly baseId?: string;
}

/** What the folder has under one id, whole or not. */
export interface VolumeSurvey {
  readonly id: string;
  /** Undefined where nobody can tell whose it is. */
  readonly mark: Mark | undefined;
  readonly path: string;
  readonly hasFile: boolean;
  /** The file that says whose it is: `altered` where it cannot be read. */
  readonly sidecar: "whole" | "absent" | "altered";
  /** 0 without a file, or where it is damaged. */
  readonly virtualSizeBytes: bigint;
  readonly actualSizeBytes: bigint;
  /** The file is no qcow2. */
  readonly isDamaged: boolean;
  /** What the volume was made an overlay on. */
  readonly baseId?: string;
  /** What its file says it rests on: the id of a volume of the folder, or a path elsewhere. */
  readonly backing?: string;
  /** Files that somebody is making, or died in making. */
  readonly partialCount: number;
}

export interface Marking {
  readonly baseId?: string;
  /** Whose it may have been before, where it changes hands. */
  readonly takenFrom?: string;
}

export interface FetchSource {
  /** As `parseSourceUrl` takes it; a `file:` one inside a folder that the agent allows. May hold a secret. */
  readonly url: string;
  /** `sha256:<hex>` or `sha512:<hex>`. */
  readonly checksum?: string;
}

/** How a volume has grown, in bytes: from one size to another. */
export interface Growth {
  readonly fromBytes: bigint;
  readonly toBytes: bigint;
}

/** Bytes done of bytes in all; `totalBytes` is undefined where the source does not tell. */
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
  /** Of the whole, not of the range. */
  readonly totalBytes: bigint;
  /**
   * Stands for the bytes of the whole, and for no others: it covers the volume, the length and every
   * change of content. Lower-case letters and digits.
   */
  readonly validator: string;
  /** @throws N0Error `aborted` as soon as they are no longer those that `validator` stands for. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Keeps the disks of virtual machines on this node, as qcow2 files in one folder.
 *
 * A volume's `id` is a `VOLUME_ID` of util/ref.ts and is chosen by the caller, never used again
 * after the volume is removed. Every `ensure…` can be repeated; one that fails leaves no file. A volume
 * appears whole: it is made under a temporary name and renamed. A volume of the same owner that is there
 * already is success, whatever its size. What takes room is refused, or ends, where the disk has less free
 * than is to be kept; what gives room back never is. Implementations pass `volume-driver.suite.ts`.
 *
 * @throws N0Error from each `ensure…`: `resource_exhausted` where the disk is full; `failed_precondition` where the id is in use by another owner;
 *   `invalid_argument` for an id or a size that no volume can have; `aborted` while another call changes
 *   the volume or makes another one from it.
 */
export interface VolumeDriver {
  ensureEmpty(id: string, sizeBytes: bigint, mark: Mark, signal: AbortSignal): Promise<void>;

  /**
   * Brings an image from outside. It is inspected before it is used: an allowed format (qcow2, raw,
   * vmdk, vdi, vhdx; ISO 9660 is raw; no text, archive or document), no backing file, no external data
   * file, not truncated, not over the size limit. It is converted to a qcow2 of `sizeBytes`, which this
   * driver makes. Progress is that of the transfer, afresh where that had to begin anew, then afresh that of the conversion.
   *
   * @throws N0Error `invalid_argument` for a URL, folder or checksum that is not allowed;
   *   `failed_precondition` for an image that must not be used, a wrong checksum, one larger than
   *   `sizeBytes`, or a source that answers no; `unavailable` for a source that does not answer now, with
   *   the delay that it asks for.
   */
  ensureFetched(
    id: string,
    source: FetchSource,
    sizeBytes: bigint,
    mark: Mark,
    options: WorkOptions,
  ): Promise<void>;

  /** An overlay on `baseId`: takes milliseconds. @throws N0Error `failed_precondition` without the base or if `sizeBytes` is below its size. */
  ensureOverlay(
    id: string,
    baseId: string,
    sizeBytes: bigint,
    mark: Mark,
    signal: AbortSignal,
  ): Promise<void>;

  /** A full copy of a volume on this node, flattened. @throws N0Error `failed_precondition` without the source or if `sizeBytes` is below its size. */
  ensureCopy(
    id: string,
    sourceId: string,
    sizeBytes: bigint,
    mark: Mark,
    options: WorkOptions,
  ): Promise<void>;

  /** A volume from the bytes that another node's `read` gave. Inspected as a fetched one is, and kept as it is if this driver could have made it. */
  ensureReceived(
    id: string,
    bytes: AsyncIterable<Uint8Array>,
    sizeBytes: bigint,
    mark: Mark,
    options: WorkOptions,
  ): Promise<void>;

  /** Grows a volume that no running domain uses. @throws N0Error `not_found`; `failed_precondition` for a smaller size, for a base of others, or while a domain uses it. */
  ensureSize(id: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;

  /** Throws what `ensureSize` would find out before it changes anything. */
  checkSize(id: string, sizeBytes: bigint, signal: AbortSignal): Promise<void>;

  /**
   * Makes a volume that has grown as large as it was before. One of any other size than `toBytes` is left
   * as it is, and none is success: the growth never happened, or is undone. No size is refused, for the
   * growth that is undone may have been refused for its size.
   *
   * @throws N0Error `failed_precondition` where the part that would go holds data, or while a domain uses
   *   the volume.
   */
  undoGrowth(id: string, growth: Growth, signal: AbortSignal): Promise<void>;

  /**
   * For a volume that a running domain may use. What the guest has not flushed yet cannot be seen.
   *
   * @throws N0Error `failed_precondition` where the volume holds data from `offsetBytes` on.
   */
  checkUnusedFrom(id: string, offsetBytes: bigint, signal: AbortSignal): Promise<void>;

  /** Throws what each `ensure…` finds out that takes room. @throws N0Error `resource_exhausted`. */
  checkRoom(signal: AbortSignal): Promise<void>;

  /** Throws what `ensureAbsent` would find out before it changes anything. */
  checkAbsent(id: string, signal: AbortSignal): Promise<void>;

  /** Removes the volume, and whatever a died attempt to make it left. Success if there is none. @throws N0Error `failed_precondition` while it is the base of an overlay. */
  ensureAbsent(id: string, signal: AbortSignal): Promise<void>;

  find(id: string, signal: AbortSignal): Promise<VolumeInfo | undefined>;

  list(signal: AbortSignal): Promise<readonly VolumeInfo[]>;

  /** As `list`, with what is half there or damaged, and what each file says itself. In the order of ids. */
  survey(signal: AbortSignal): Promise<readonly VolumeSurvey[]>;

  /**
   * Writes down whose the volume's file is, and what it rests on. The mark of the same owner stays.
   *
   * @throws N0Error `not_found` without the file; `failed_precondition` where it is of an owner that is
   *   neither `mark`'s nor `takenFrom`.
   */
  ensureMarked(id: string, mark: Mark, how: Marking, signal: AbortSignal): Promise<void>;

  /** Where the volume's file is or would be. */
  path(id: string): string;

  /**
   * Where the files are that the volume rests on, the next first.
   *
   * @throws N0Error `failed_precondition` where the volume or one of them is missing, or a file itself names
   *   another than it was made on.
   */
  backing(id: string, signal: AbortSignal): Promise<readonly string[]>;

  /**
   * The volume as one self-contained qcow2 file, from `offset`, at most `length` bytes. An overlay is
   * flattened into a temporary file first, which is kept for later ranges while the volume is unchanged.
   * An empty range at the end is none too many. The volume must not be in use.
   *
   * @throws N0Error `not_found`; `out_of_range` for an `offset` past the end; `aborted` while the volume
   *   is being written to.
   */
  read(
    id: string,
    range: { readonly offset: bigint; readonly length?: bigint },
    signal: AbortSignal,
  ): Promise<VolumeReading>;
}
