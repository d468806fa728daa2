import { defined } from "../../../util/defined.ts";

/** The header of a qcow2 file. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly virtualSizeBytes: bigint;
  readonly clusterBytes: number;
  /** The name as it is written, relative or not. */
  readonly backingFile?: string;
  readonly isEncrypted: boolean;
  /** The number of internal snapshots. */
  readonly snapshots: number;
  readonly hasExternalDataFile: boolean;
  /** The file was not closed properly: its reference counts may be wrong. */
  readonly isDirty: boolean;
  readonly isCorrupt: boolean;
  /** The width of a reference count. */
  readonly refcountBits: number;
  /** A bit set. A reader must refuse the file if it does not know one of these. */
  readonly incompatibleFeatures: bigint;
  /** Incompatible features that this reader does not know, as a bit set. */
  readonly unknownFeatures: bigint;
  /** A bit set. A reader may ignore these. */
  readonly compatibleFeatures: bigint;
  /** A bit set. A writer must clear those that it does not know. */
  readonly autoclearFeatures: bigint;
  readonly headerBytes: number;
  /** The types of the header extensions, in the order of the file. */
  readonly extensions: readonly number[];
}

/**
 * Enough for the header, its extensions and the name of the backing file: all of them lie in the first cluster.
 */
export const QCOW2_HEAD_BYTES = 64 * 1024;

export class ImageFormatError extends Error {
  override name = "ImageFormatError";
}

const MAGIC = 0x514649fb;
const VERSION_2_HEADER_BYTES = 72;
const VERSION_3_HEADER_BYTES = 104;
const BACKING_NAME_BYTES_MAX = 1023;
const VERSION_2_REFCOUNT_BITS = 16;
const REFCOUNT_ORDER_MAX = 6;
const EXTENSION_END = 0;
const EXTENSION_EXTERNAL_DATA = 0x44415441;
const DIRTY = 1n << 0n;
const CORRUPT = 1n << 1n;
const EXTERNAL_DATA = 1n << 2n;
const COMPRESSION_TYPE = 1n << 3n;
const EXTENDED_L2 = 1n << 4n;
const KNOWN_FEATURES = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2;

export function isQcow2(head: Uint8Array): boolean {
  return head.length >= 8 && viewOf(head).getUint32(0) === MAGIC;
}

/**
 * Reads a qcow2 header, version 2 or 3, as QEMU's docs/interop/qcow2.txt defines it. Opens no file that the
 * header names.
 *
 * @param head The first `QCOW2_HEAD_BYTES` of the file, or all of a shorter one.
 * @throws ImageFormatError if it is not such a header.
 */
export function parseQcow2Header(head: Uint8Array): Qcow2Header {
  const view = viewOf(head);
  if (!isQcow2(head)) throw new ImageFormatError("no qcow2 magic");
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw new ImageFormatError(`qcow2 version ${version}`);
  const fixedBytes = version === 2 ? VERSION_2_HEADER_BYTES : VERSION_3_HEADER_BYTES;
  if (head.length < fixedBytes) throw new ImageFormatError("the header is cut short");

  const headerBytes = version === 2 ? VERSION_2_HEADER_BYTES : view.getUint32(100);
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21)
    throw new ImageFormatError(`cluster bits ${clusterBits}`);
  const clusterBytes = 2 ** clusterBits;
  if (headerBytes < fixedBytes || headerBytes > clusterBytes || headerBytes > head.length) {
    throw new ImageFormatError(`header length ${headerBytes}`);
  }
  const features = (offset: number) => (version === 2 ? 0n : view.getBigUint64(offset));
  const incompatibleFeatures = features(72);
  const extensions = extensionTypes(view, headerBytes, clusterBytes);
  const backingFile = backingName(head, view);
  return {
    version,
    virtualSizeBytes: view.getBigUint64(24),
    clusterBytes,
    ...defined({ backingFile }),
    isEncrypted: view.getUint32(32) !== 0,
    snapshots: view.getUint32(60),
    // A file may name its data file and lack the feature bit, so that the file is probed later.
    hasExternalDataFile:
      (incompatibleFeatures & EXTERNAL_DATA) !== 0n || extensions.includes(EXTENSION_EXTERNAL_DATA),
    isDirty: (incompatibleFeatures & DIRTY) !== 0n,
    isCorrupt: (incompatibleFeatures & CORRUPT) !== 0n,
    refcountBits: version === 2 ? VERSION_2_REFCOUNT_BITS : refcountBits(view.getUint32(96)),
    incompatibleFeatures,
    unknownFeatures: incompatibleFeatures & ~KNOWN_FEATURES,
    compatibleFeatures: features(80),
    autoclearFeatures: features(88),
    headerBytes,
    extensions,
  };
}

function refcountBits(order: number): number {
  if (order > REFCOUNT_ORDER_MAX) throw new ImageFormatError(`reference count order ${order}`);
  return 2 ** order;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function backingName(head: Uint8Array, view: DataView): string | undefined {
  const offset = view.getBigUint64(8);
  const length = view.getUint32(16);
  if (offset === 0n) return undefined;
  if (length > BACKING_NAME_BYTES_MAX || offset + BigInt(length) > BigInt(head.length)) {
    throw new ImageFormatError("the name of the backing file lies outside the header");
  }
  const start = Number(offset);
  return new TextDecoder().decode(head.subarray(start, start + length));
}

function extensionTypes(view: DataView, headerBytes: number, clusterBytes: number): number[] {
  const types: number[] = [];
  const end = Math.min(clusterBytes, view.byteLength);
  for (let at = headerBytes; at + 8 <= end; ) {
    const type = view.getUint32(at);
    if (type === EXTENSION_END) break;
    types.push(type);
    at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8;
  }
  return types;
}
