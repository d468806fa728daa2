/** Bytes at their place in a file. Everything between them is zero. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface SparseFile {
  readonly lengthBytes: number;
  readonly pieces: readonly Piece[];
}

const CLUSTER_BYTES = 65_536;
const CLUSTER_BITS = 16;
/** One cluster of L2 entries of eight bytes, each of which points to a cluster of data. */
const BYTES_PER_L1_ENTRY = BigInt(CLUSTER_BYTES / 8) * BigInt(CLUSTER_BYTES);
/** The limit of QEMU (32 MiB of L1 table). */
const L1_ENTRIES_MAX = 4_194_304n;
const HEADER_BYTES = 104;
const REFCOUNT_TABLE = CLUSTER_BYTES;
const REFCOUNT_BLOCK = 2 * CLUSTER_BYTES;
const L1_TABLE = 3 * CLUSTER_BYTES;
const REFCOUNT_ORDER_16_BITS = 4;
const EXTENSION_BACKING_FORMAT = 0xe2792aca;
const BACKING_NAME_BYTES_MAX = 1023;

/**
 * A qcow2 file (version 3) without data. It reads as zeros, or as `backingFile`, another qcow2 in the same
 * folder. The header, the reference count table and its one block take a cluster each; the L1 table follows.
 * The format is that of QEMU's docs/interop/qcow2.txt. We write it ourselves, because starting qemu-img takes
 * longer than all other steps of making an overlay.
 *
 * @throws RangeError if the format cannot hold the size or the name.
 */
export function sparseQcow2(virtualSizeBytes: bigint, backingFile?: string): SparseFile {
  const l1Entries = (virtualSizeBytes + BYTES_PER_L1_ENTRY - 1n) / BYTES_PER_L1_ENTRY;
  if (virtualSizeBytes < 0n || l1Entries > L1_ENTRIES_MAX)
    throw new RangeError(`${virtualSizeBytes}`);
  const l1Bytes = Number(l1Entries) * 8;
  const clusters = 3 + Math.ceil(l1Bytes / CLUSTER_BYTES);

  const table = new DataView(new ArrayBuffer(8));
  table.setBigUint64(0, BigInt(REFCOUNT_BLOCK));
  const counts = new DataView(new ArrayBuffer(2 * clusters));
  for (let cluster = 0; cluster < clusters; cluster += 1) counts.setUint16(2 * cluster, 1);
  return {
    lengthBytes: L1_TABLE + l1Bytes,
    pieces: [
      { offset: 0, bytes: header(virtualSizeBytes, Number(l1Entries), backingFile) },
      { offset: REFCOUNT_TABLE, bytes: new Uint8Array(table.buffer) },
      { offset: REFCOUNT_BLOCK, bytes: new Uint8Array(counts.buffer) },
    ],
  };
}

/** `sparseQcow2` without a backing file, as the bytes of the file. */
export function blankQcow2(virtualSizeBytes: bigint): Uint8Array {
  const { lengthBytes, pieces } = sparseQcow2(virtualSizeBytes);
  const file = new Uint8Array(lengthBytes);
  for (const { offset, bytes } of pieces) file.set(bytes, offset);
  return file;
}

/** The header, its extensions (the backing file's format, the end) and the backing file's name. */
function header(sizeBytes: bigint, l1Entries: number, backingFile: string | undefined): Uint8Array {
  const name = Buffer.from(backingFile ?? "");
  if (name.length > BACKING_NAME_BYTES_MAX)
    throw new RangeError("the backing file's name is too long");
  const nameOffset = HEADER_BYTES + 24;
  const bytes = new Uint8Array(nameOffset + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  view.setUint32(20, CLUSTER_BITS);
  view.setBigUint64(24, sizeBytes);
  view.setUint32(36, l1Entries);
  view.setBigUint64(40, BigInt(L1_TABLE));
  view.setBigUint64(48, BigInt(REFCOUNT_TABLE));
  view.setUint32(56, 1);
  view.setUint32(96, REFCOUNT_ORDER_16_BITS);
  view.setUint32(100, HEADER_BYTES);
  if (backingFile !== undefined) {
    view.setBigUint64(8, BigInt(nameOffset));
    view.setUint32(16, name.length);
    view.setUint32(HEADER_BYTES, EXTENSION_BACKING_FORMAT);
    view.setUint32(HEADER_BYTES + 4, 5);
    bytes.set(Buffer.from("qcow2"), HEADER_BYTES + 8);
    bytes.set(name, nameOffset);
  }
  return bytes;
}
