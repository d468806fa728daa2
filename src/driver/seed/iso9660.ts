export interface IsoFile {
  /** `[a-z0-9._-]`, at most 30 characters. */
  readonly name: string;
  readonly content: Uint8Array;
}

export const SECTOR_BYTES = 2048;
const SYSTEM_AREA_SECTORS = 16;
const DESCRIPTOR_SECTOR = SYSTEM_AREA_SECTORS;
const LITTLE_PATH_TABLE_SECTOR = DESCRIPTOR_SECTOR + 2;
const BIG_PATH_TABLE_SECTOR = LITTLE_PATH_TABLE_SECTOR + 1;
const ROOT_SECTOR = BIG_PATH_TABLE_SECTOR + 1;
const PATH_TABLE_BYTES = 10;
const FLAG_DIRECTORY = 2;
const FILE_NAME = /^[a-z0-9._-]{1,30}$/;

/** 1980-01-01 00:00:00 UTC, so that the same files are the same bytes. */
const RECORD_DATE = [80, 1, 1, 0, 0, 0, 0] as const;
const DESCRIPTOR_DATE = "1980010100000000";

interface Extent {
  readonly sector: number;
  readonly bytes: number;
}

/**
 * An ISO 9660 image that holds `files` in its root folder (ECMA-119, 4th edition; the numbers below are its
 * sections). It differs from the standard in one thing: names and the label keep their lower case, as with
 * `genisoimage -allow-lowercase`, because cloud-init looks for `user-data` and `cidata`. Linux strips the `;1`,
 * so neither Rock Ridge nor Joliet is needed.
 *
 * @throws RangeError if the format cannot hold a name or the label, or if a name occurs twice.
 */
export function isoImage(label: string, files: readonly IsoFile[]): Uint8Array {
  if (!/^[A-Za-z0-9_]{1,32}$/.test(label)) throw new RangeError(`ISO label "${label}"`);
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const [index, { name }] of sorted.entries()) {
    if (!FILE_NAME.test(name)) throw new RangeError(`ISO file name "${name}"`);
    if (sorted[index - 1]?.name === name) throw new RangeError(`ISO file name "${name}" twice`);
  }

  const root: Extent = { sector: ROOT_SECTOR, bytes: directory(sorted, []).length };
  const extents: Extent[] = [];
  let sector = root.sector + sectors(root.bytes);
  for (const { content } of sorted) {
    extents.push({ sector, bytes: content.length });
    sector += sectors(content.length);
  }

  const image = new Uint8Array(sector * SECTOR_BYTES);
  image.set(primaryDescriptor(label, sector, root), DESCRIPTOR_SECTOR * SECTOR_BYTES);
  image.set(terminator(), (DESCRIPTOR_SECTOR + 1) * SECTOR_BYTES);
  image.set(pathTable(root, true), LITTLE_PATH_TABLE_SECTOR * SECTOR_BYTES);
  image.set(pathTable(root, false), BIG_PATH_TABLE_SECTOR * SECTOR_BYTES);
  image.set(directory(sorted, [root, ...extents]), root.sector * SECTOR_BYTES);
  for (const [index, { content }] of sorted.entries()) {
    image.set(content, extents[index]!.sector * SECTOR_BYTES);
  }
  return image;
}

function sectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES);
}

/** 8.4 */
function primaryDescriptor(label: string, sectorsInAll: number, root: Extent): Uint8Array {
  const block = new Uint8Array(SECTOR_BYTES);
  const view = new DataView(block.buffer);
  block[0] = 1;
  text(block, 1, "CD001", 5);
  block[6] = 1;
  text(block, 8, "LINUX", 32);
  text(block, 40, label, 32);
  both32(view, 80, sectorsInAll);
  both16(view, 120, 1);
  both16(view, 124, 1);
  both16(view, 128, SECTOR_BYTES);
  both32(view, 132, PATH_TABLE_BYTES);
  view.setUint32(140, LITTLE_PATH_TABLE_SECTOR, true);
  view.setUint32(148, BIG_PATH_TABLE_SECTOR, false);
  block.set(record("\0", root, FLAG_DIRECTORY), 156);
  text(block, 190, "", 623);
  // Creation, modification, expiration, effective: 16 digits and an offset from UTC each.
  for (const [offset, date] of [
    [813, DESCRIPTOR_DATE],
    [830, DESCRIPTOR_DATE],
    [847, "0".repeat(16)],
    [864, "0".repeat(16)],
  ] as const) {
    text(block, offset, date, 16);
  }
  block[881] = 1;
  return block;
}

/** 8.3 */
function terminator(): Uint8Array {
  const block = new Uint8Array(7);
  block[0] = 255;
  text(block, 1, "CD001", 5);
  block[6] = 1;
  return block;
}

/** 9.4: one entry, the root. */
function pathTable(root: Extent, littleEndian: boolean): Uint8Array {
  const table = new Uint8Array(PATH_TABLE_BYTES);
  const view = new DataView(table.buffer);
  table[0] = 1;
  view.setUint32(2, root.sector, littleEndian);
  view.setUint16(6, 1, littleEndian);
  return table;
}

/**
 * 6.8.1: the records one after the other; none crosses the border of a sector. Without `extents` (that of the
 * folder, then those of the files) only the length of the result is valid, since it does not depend on them.
 */
function directory(files: readonly IsoFile[], extents: readonly Extent[]): Uint8Array {
  const root = extents[0] ?? { sector: 0, bytes: 0 };
  const records = [record("\0", root, FLAG_DIRECTORY), record("\u0001", root, FLAG_DIRECTORY)];
  for (const [index, { name }] of files.entries()) {
    records.push(record(`${name};1`, extents[index + 1] ?? { sector: 0, bytes: 0 }, 0));
  }
  const parts: Array<{ readonly offset: number; readonly bytes: Uint8Array }> = [];
  let offset = 0;
  for (const bytes of records) {
    const left = SECTOR_BYTES - (offset % SECTOR_BYTES);
    if (bytes.length > left) offset += left;
    parts.push({ offset, bytes });
    offset += bytes.length;
  }
  const block = new Uint8Array(sectors(offset) * SECTOR_BYTES);
  for (const part of parts) block.set(part.bytes, part.offset);
  return block;
}

/** 9.1 */
function record(name: string, extent: Extent, flags: number): Uint8Array {
  const length = 33 + name.length + ((33 + name.length) % 2);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes[0] = length;
  both32(view, 2, extent.sector);
  both32(view, 10, extent.bytes);
  bytes.set(RECORD_DATE, 18);
  bytes[25] = flags;
  both16(view, 28, 1);
  bytes[32] = name.length;
  bytes.set(Buffer.from(name, "latin1"), 33);
  return bytes;
}

/** 7.4.3: padded with spaces. */
function text(block: Uint8Array, offset: number, value: string, length: number): void {
  block.set(Buffer.from(value.padEnd(length, " "), "latin1"), offset);
}

/** 7.2.3 */
function both16(view: DataView, offset: number, value: number): void {
  view.setUint16(offset, value, true);
  view.setUint16(offset + 2, value, false);
}

/** 7.3.3 */
function both32(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value, true);
  view.setUint32(offset + 4, value, false);
}
