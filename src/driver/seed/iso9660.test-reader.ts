/**
 * A reader of ISO 9660 for tests, which shares nothing with the writer. Reads the little-endian half of each
 * number, and checks that the big-endian half is equal.
 */
export function readIso(bytes: Uint8Array): { label: string; files: Map<string, Uint8Array> } {
  const image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const descriptor = image.subarray(16 * 2048, 17 * 2048);
  if (descriptor.toString("latin1", 0, 7) !== "\u0001CD001\u0001") throw new Error("no descriptor");
  if (image.toString("latin1", 17 * 2048, 17 * 2048 + 7) !== "\u00ffCD001\u0001")
    throw new Error("no end");
  if (number32(descriptor, 80) * 2048 !== image.length) throw new Error("wrong volume size");

  const files = new Map<string, Uint8Array>();
  const start = number32(descriptor, 156 + 2) * 2048;
  const end = start + number32(descriptor, 156 + 10);
  for (let at = start; at < end; ) {
    const length = image[at]!;
    if (length === 0) {
      at = (Math.floor(at / 2048) + 1) * 2048;
      continue;
    }
    if (Math.floor(at / 2048) !== Math.floor((at + length - 1) / 2048)) throw new Error("crosses");
    const name = image.toString("latin1", at + 33, at + 33 + image[at + 32]!);
    const from = number32(image, at + 2) * 2048;
    const isFolder = (image[at + 25]! & 2) !== 0;
    if (!isFolder)
      files.set(name.replace(/;1$/, ""), image.subarray(from, from + number32(image, at + 10)));
    at += length;
  }
  return { label: descriptor.toString("latin1", 40, 72).trimEnd(), files };
}

function number32(buffer: Buffer, offset: number): number {
  const value = buffer.readUInt32LE(offset);
  if (buffer.readUInt32BE(offset + 4) !== value) throw new Error(`halves differ at ${offset}`);
  return value;
}
