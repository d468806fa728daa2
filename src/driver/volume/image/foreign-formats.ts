import { hasAt } from "./disk-signs.ts";

type Signatures = ReadonlyArray<readonly [start: string, what: string]>;

/** The beginning of each format, one character a byte. */
const PACKED: Signatures = [
  ["\x1f\x8b\x08", "compressed with gzip"],
  ["\xfd7zXZ\0", "compressed with xz"],
  ["\x28\xb5\x2f\xfd", "compressed with zstd"],
  ["\x50\x2a\x4d\x18", "compressed with zstd"],
  ["\x04\x22\x4d\x18", "compressed with lz4"],
  ["\x02\x21\x4c\x18", "compressed with lz4"],
  ["LZIP", "compressed with lzip"],
  ["\x89LZO\0\r\n\x1a\n", "compressed with lzop"],
  ["\xff\x06\0\0sNaPpY", "compressed with snappy"],
  ["PK\x03\x04", "a zip archive"],
  ["PK\x05\x06", "a zip archive"],
  ["PK\x07\x08", "a zip archive"],
  ["7z\xbc\xaf\x27\x1c", "a 7z archive"],
  ["Rar!\x1a\x07", "a rar archive"],
  ["MSCF\0\0\0\0", "a cabinet archive"],
  ["MSWIM\0\0\0", "a Windows image archive (WIM)"],
  ["xar!", "a xar archive"],
  ["070701", "a cpio archive"],
  ["070702", "a cpio archive"],
  ["070707", "a cpio archive"],
  ["!<arch>\ndebian-binary", "a Debian package"],
  ["!<arch>\n", "an ar archive"],
  ["!<thin>\n", "an ar archive"],
  ["\xed\xab\xee\xdb", "an RPM package"],
  ["VMA\0", "a Proxmox backup (VMA)"],
  ["\x3a\xff\x26\xed", "an Android sparse image"],
];

/** Formats that qemu-img reads, with the name for its option `-f`. */
const CONVERTIBLE: ReadonlyArray<readonly [start: string, what: string, format: string]> = [
  ["QFI\xfb", "a qcow2 of an old version", "qcow"],
  ["QED\0", "a QED image", "qed"],
  ["COWD", "a vmdk of an old version", "vmdk"],
  ["conectix", "a VHD image", "vpc"],
  ["WithoutFreeSpace", "a Parallels image", "parallels"],
  ["WithouFreSpacExt", "a Parallels image", "parallels"],
  ["Bochs Virtual HD Image", "a Bochs image", "bochs"],
  ["#!/bin/sh\n#V2.0 Format\n", "a compressed loop image (cloop)", "cloop"],
];

const NO_IMAGE: Signatures = [
  ["%PDF-", "a PDF document"],
  ["\x7fELF", "a program (ELF)"],
  ["\x89PNG\r\n\x1a\n", "a picture"],
  ["\xff\xd8\xff", "a picture"],
  ["GIF8", "a picture"],
  ["SQLite format 3\0", "an SQLite database"],
  ["d8:announce", "a torrent file"],
];

const UNPACK = "unpack it and give the image inside";
const TAR_HEADER_BYTES = 512;
const CPIO_HEADER_BYTES = 26;
const CPIO_NAME_BYTES_MAX = 4096;

/** The advice for a file that holds no image. */
export const GIVE_IMAGE = "give the image file itself";

/**
 * Says what the file is and what to do with it, if it ends like no raw disk. Such a file may begin like a disk:
 * a fixed VHD is a raw disk with 512 bytes after it (Microsoft's "Virtual Hard Disk Image Format
 * Specification"; old writers omitted one byte), and a DMG is similar.
 *
 * @param tail The last 512 bytes.
 */
export function foreignByEnd(tail: Uint8Array): string | undefined {
  if (hasAt(tail, 0, "conectix") || hasAt(tail, 1, "conectix"))
    return convert("a VHD image", "vpc");
  if (hasAt(tail, 0, "koly\0\0\0\x04\0\0\x02\0")) return convert("an Apple disk image", "dmg");
  return undefined;
}

/** Says what the file is and what to do with it, if it begins like no raw disk. */
export function foreignByStart(head: Uint8Array): string | undefined {
  for (const [start, what, format] of CONVERTIBLE) {
    if (hasAt(head, 0, start)) return convert(what, format);
  }
  if (hasAt(head, 0, "LUKS\xba\xbe")) return "is encrypted: decrypt it and give the image inside";
  const packed = startOf(head, PACKED) ?? otherPacked(head);
  if (packed !== undefined) return `is ${packed}: ${UNPACK}`;
  const other = startOf(head, NO_IMAGE) ?? (isPe(head) ? "a program (Windows or EFI)" : undefined);
  return other === undefined ? undefined : `is ${other}: ${GIVE_IMAGE}`;
}

function convert(what: string, format: string): string {
  return `is ${what}: convert it with qemu-img convert -f ${format} -O qcow2 and give the result`;
}

function startOf(head: Uint8Array, signatures: Signatures): string | undefined {
  return signatures.find(([start]) => hasAt(head, 0, start))?.[1];
}

/** Formats without a signature at the beginning, or with one that is too short to be reliable alone. */
function otherPacked(head: Uint8Array): string | undefined {
  if (isTar(head)) return isOva(head) ? "an OVA (a tar archive)" : "a tar archive";
  if (isBinaryCpio(head)) return "a cpio archive";
  if (isBzip2(head)) return "compressed with bzip2";
  if (isLzma(head)) return "compressed with lzma";
  if (isCompress(head)) return "compressed with compress";
  return undefined;
}

/** The offset of the real header is at byte 60, after a program for DOS. */
function isPe(head: Uint8Array): boolean {
  if (!hasAt(head, 0, "MZ") || head.length < 64) return false;
  const offset = new DataView(head.buffer, head.byteOffset).getUint32(60, true);
  return hasAt(head, offset, "PE\0\0");
}

/**
 * POSIX.1-2017, pax, "ustar Interchange Format". Older archives have the checksum and no name of the format.
 */
function isTar(head: Uint8Array): boolean {
  if (head.length < TAR_HEADER_BYTES) return false;
  if (hasAt(head, 257, "ustar")) return true;
  const field = Buffer.from(head.subarray(148, 156)).toString("latin1");
  const digits = /^ *([0-7]+)[ \0]*$/.exec(field)?.[1];
  if (digits === undefined) return false;
  const blanks = 8 * 0x20;
  const sum = head
    .subarray(0, TAR_HEADER_BYTES)
    .reduce((total, byte, at) => (at >= 148 && at < 156 ? total : total + byte), blanks);
  return Number.parseInt(digits, 8) === sum;
}

/** DMTF DSP0243, section 5.3: the descriptor is the first file of the archive. */
function isOva(head: Uint8Array): boolean {
  const [name = ""] = Buffer.from(head.subarray(0, 100)).toString("latin1").split("\0", 1);
  return /\.ovf$/i.test(name);
}

/** The default format of `cpio -o`: 13 words, of which the 11th is the length of the name. */
function isBinaryCpio(head: Uint8Array): boolean {
  if (head.length < CPIO_HEADER_BYTES) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const isLittle = view.getUint16(0, true) === 0o070707;
  if (!isLittle && view.getUint16(0) !== 0o070707) return false;
  const nameBytes = view.getUint16(20, isLittle);
  if (nameBytes < 2 || nameBytes > CPIO_NAME_BYTES_MAX) return false;
  return head.indexOf(0, CPIO_HEADER_BYTES) === CPIO_HEADER_BYTES + nameBytes - 1;
}

/** A block of data, or the end of an empty stream, begins with six bytes after the level. */
function isBzip2(head: Uint8Array): boolean {
  return hasAt(head, 0, "BZh") && (hasAt(head, 4, "1AY&SY") || hasAt(head, 4, "\x17rE8P\x90"));
}

/** The properties that all encoders use, then a dictionary size, then the length: unknown or plausible. */
function isLzma(head: Uint8Array): boolean {
  if (!hasAt(head, 0, "\x5d\0\0")) return false;
  return hasAt(head, 5, "\xff".repeat(8)) || hasAt(head, 11, "\0\0");
}

/** The third byte holds the number of bits of a code, 9 to 16. */
function isCompress(head: Uint8Array): boolean {
  const bits = (head[2] ?? 0) & 0x1f;
  return hasAt(head, 0, "\x1f\x9d") && bits >= 9 && bits <= 16;
}
