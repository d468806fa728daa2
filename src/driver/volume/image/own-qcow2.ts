import { sparseQcow2 } from "./blank-qcow2.ts";
import { parseQcow2Header, type Qcow2Header } from "./qcow2-header.ts";

const OWN = parseQcow2Header(sparseQcow2(0n).pieces[0]?.bytes ?? new Uint8Array());

/** The properties of a file that decide what can be done with it later, apart from its size and its data. */
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

/** QEMU writes the names of the feature bits, which are only for messages. */
const EXTENSION_FEATURE_NAMES = 0x6803f857;
/** QEMU's header is longer than ours by the compression type, which only counts with a feature bit. */
const HEADER_BYTES_MAX = 112;
const SECTOR_BYTES = 512n;

export const OWN_CLUSTER_BYTES = BigInt(OWN.clusterBytes);

/**
 * The options for `qemu-img -o` with which it writes a file that `isOwnQcow2` accepts, whatever its defaults
 * are.
 */
export const OWN_QCOW2_OPTIONS = `compat=1.1,cluster_size=${OWN.clusterBytes},refcount_bits=${OWN.refcountBits}`;

/**
 * Whether our own writer could have made a file with this header: `sparseQcow2`, or qemu-img with our options.
 * Only such a file can certainly be grown, copied and written to later. For example, QEMU refuses to grow a
 * file with small clusters or bitmaps, and it fails at other times with narrow or lazy reference counts.
 *
 * Compressed clusters (zlib, without a feature bit) show in the tables and not in the header. They are allowed:
 * every QEMU reads them, writes beside them, and grows and shrinks a file that has them.
 */
export function isOwnQcow2(header: Qcow2Header): boolean {
  return (
    SAME.every((field) => header[field] === OWN[field]) &&
    header.extensions.every((type) => type === EXTENSION_FEATURE_NAMES) &&
    header.headerBytes <= HEADER_BYTES_MAX &&
    header.virtualSizeBytes % SECTOR_BYTES === 0n
  );
}
