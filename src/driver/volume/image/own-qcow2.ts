import { sparseQcow2 } from "./blank-qcow2.ts";
import { parseQcow2Header, type Qcow2Header } from "./qcow2-header.ts";

const OWN = parseQcow2Header(sparseQcow2(0n).pieces[0]?.bytes ?? new Uint8Array());

/** What decides how a file can be used later, apart from its size and its data. */
const SAME = [
  "version",
  "clusterBytes",
  "refcountBits",
  "snapshots",
  "isEncrypted",
  "backingFile",
  "incompatibleFeatures",
  "compatibleFeatures",
  "autoclearFeatures",
] as const satisfies ReadonlyArray<keyof Qcow2Header>;

/** QEMU writes the names of the feature bits, for messages alone. */
const EXTENSION_FEATURE_NAMES = 0x6803f857;
/** QEMU's header is longer than ours by the compression type, which counts only with a feature bit. */
const HEADER_BYTES_MAX = 112;
const SECTOR_BYTES = 512n;

export const OWN_CLUSTER_BYTES = BigInt(OWN.clusterBytes);

/** What `qemu-img -o` must be told to write what `isOwnQcow2` takes, whatever its defaults are. */
export const OWN_QCOW2_OPTIONS = `compat=1.1,cluster_size=${OWN.clusterBytes},refcount_bits=${OWN.refcountBits}`;

/**
 * Whether our own writer could have made a file with this header: `sparseQcow2`, or qemu-img as this
 * project calls it. Only such a file can certainly be grown, copied and written to later. Small clusters
 * or bitmaps, for example, make QEMU refuse to grow a file; narrow reference counts or lazy ones make it
 * fail at other times.
 *
 * Compressed clusters (zlib, without a feature bit) are in the tables and not in the header. They are
 * allowed: every QEMU reads them, writes beside them, and grows and shrinks a file that has them.
 */
export function isOwnQcow2(header: Qcow2Header): boolean {
  return (
    SAME.every((field) => header[field] === OWN[field]) &&
    header.extensions.every((type) => type === EXTENSION_FEATURE_NAMES) &&
    header.headerBytes <= HEADER_BYTES_MAX &&
    header.virtualSizeBytes % SECTOR_BYTES === 0n
  );
}
