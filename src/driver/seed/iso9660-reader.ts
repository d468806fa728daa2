import { SECTOR_BYTES } from "./iso9660.ts";

/** ECMA-119, as `isoImage` writes it. */
const DESCRIPTOR = 16 * SECTOR_BYTES;
const ROOT = 156;
const FLAG_DIRECTORY = 2;

/** The files of an image of `isoImage`. Undefined for anything else, such as an image that is cut short. */
export function readIsoFiles(image: Buffer): ReadonlyMap<string, Buffer> | undefined {
  try {
    if (image.toString("latin1", DESCRIPTOR + 1, DESCRIPTOR + 6) !== "CD001") return undefined;
    const root = extentOf(image, image.subarray(DESCRIPTOR + ROOT));
    return new Map(recordsIn(root).flatMap((record) => fileOf(image, record)));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** None of them crosses the border of a sector: a length of zero leads to the next one. */
function recordsIn(folder: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < folder.length; ) {
    const length = folder.readUInt8(at);
    if (length > 0) records.push(folder.subarray(at, at + length));
    at += length > 0 ? length : SECTOR_BYTES - (at % SECTOR_BYTES);
  }
  return records;
}

function fileOf(image: Buffer, record: Buffer): [string, Buffer][] {
  if ((record.readUInt8(25) & FLAG_DIRECTORY) !== 0) return [];
  const name = record.toString("latin1", 33, 33 + record.readUInt8(32));
  return [[name.replace(/;1$/, ""), extentOf(image, record)]];
}

/** What a record says to be in the image. */
function extentOf(image: Buffer, record: Buffer): Buffer {
  const start = record.readUInt32LE(2) * SECTOR_BYTES;
  const end = start + record.readUInt32LE(10);
  if (end > image.length) throw new RangeError("the image is cut short");
  return image.subarray(start, end);
}
