import { describe, expect, test } from "vitest";
import { fc } from "../../../../test/properties.ts";
import { isoImage } from "../../seed/iso9660.ts";
import { imageFormat, sampleOf } from "./image-format.ts";
import { ImageFormatError } from "./qcow2-header.ts";

const SECTOR = 512;
const formatOf = (bytes: Uint8Array) => imageFormat(sampleOf(bytes));

/** A file of two sectors of zeros with each Latin-1 text at its offset. */
function file(...pieces: ReadonlyArray<readonly [offset: number, text: string]>): Buffer {
  const bytes = Buffer.alloc(2 * SECTOR);
  for (const [offset, text] of pieces) bytes.write(text, offset, "latin1");
  return bytes;
}

const starting = (text: string) => file([0, text]);
const longText = (start: string) => Buffer.from(start + "All is well. ".repeat(SECTOR));

/** The header of a tar archive's first file, as it was before POSIX, and its data. */
function oldTar(name: string, size: string): Buffer {
  const header = file([0, name], [100, "0000644\0"], [124, `${size}\0`], [148, " ".repeat(8)]);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function binaryCpio(isLittle: boolean): Buffer {
  const name = "disk.img\0";
  const header = file([26, name]);
  const view = new DataView(header.buffer, header.byteOffset);
  view.setUint16(0, 0o070707, isLittle);
  view.setUint16(20, name.length, isLittle);
  return header;
}

describe("what is no disk is refused, with what to do:", () => {
  test.each<[string, Buffer, RegExp]>([
    ["gzip", starting("\x1f\x8b\x08"), /compressed with gzip: unpack it/],
    ["xz", starting("\xfd7zXZ\0"), /compressed with xz: unpack it/],
    ["zstd", starting("\x28\xb5\x2f\xfd"), /compressed with zstd: unpack it/],
    ["bzip2", starting("BZh91AY&SY"), /compressed with bzip2: unpack it/],
    ["empty bzip2", starting("BZh1\x17rE8P\x90"), /compressed with bzip2: unpack it/],
    ["lzma", starting("\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff"), /with lzma: unpack it/],
    ["lzma that tells its length", starting("\x5d\0\0\x80\0\0\x10\0\0\0\0\0\0"), /with lzma/],
    ["compress", starting("\x1f\x9d\x90"), /with compress: unpack it/],
    ["lz4", starting("\x04\x22\x4d\x18"), /compressed with lz4: unpack it/],
    ["zip", starting("PK\x03\x04"), /zip archive: unpack it/],
    ["7z", starting("7z\xbc\xaf\x27\x1c"), /7z archive: unpack it/],
    ["rar", starting("Rar!\x1a\x07\x01\0"), /rar archive: unpack it/],
    ["tar", file([0, "disk.img"], [257, "ustar\0"]), /tar archive: unpack it/],
    ["GNU tar", file([0, "disk.img"], [257, "ustar  \0"]), /tar archive: unpack it/],
    ["tar before POSIX", oldTar("disk.img", "00000001000"), /tar archive: unpack it/],
    ["an OVA", file([0, "web.ovf"], [257, "ustar\0"]), /an OVA .*: unpack it/],
    ["cpio", starting("070701"), /cpio archive: unpack it/],
    ["binary cpio", binaryCpio(true), /cpio archive: unpack it/],
    ["binary cpio of a big-endian machine", binaryCpio(false), /cpio archive: unpack it/],
    ["a Debian package", starting("!<arch>\ndebian-binary"), /Debian package: unpack it/],
    ["ar", starting("!<arch>\nx.o/"), /ar archive: unpack it/],
    ["an RPM package", starting("\xed\xab\xee\xdb"), /RPM package: unpack it/],
    ["a VHD", starting("conectix"), /VHD image: convert it with qemu-img convert -f vpc/],
    ["a fixed VHD", file([SECTOR, "conectix"]), /VHD image: convert it/],
    ["a fixed VHD with a short footer", file([SECTOR + 1, "conectix"]), /VHD image: convert it/],
    [
      "a fixed VHD of a disk that boots",
      file([SECTOR - 2, "\x55\xaa"], [SECTOR, "conectix"]),
      /VHD image: convert it/,
    ],
    ["a DMG", file([SECTOR, "koly\0\0\0\x04\0\0\x02\0"]), /Apple disk image: convert it/],
    ["qcow2 of version 1", starting("QFI\xfb\0\0\0\x01"), /old version: convert it/],
    ["QED", starting("QED\0"), /QED image: convert it/],
    ["Parallels", starting("WithoutFreeSpace"), /Parallels image: convert it/],
    ["LUKS", starting("LUKS\xba\xbe"), /encrypted: decrypt it/],
    ["PDF", starting("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), /PDF document: give the image file/],
    ["ELF", starting("\x7fELF\x02\x01\x01"), /program \(ELF\): give the image file/],
    ["a program of Windows", file([0, "MZ"], [60, "\x80\0\0\0"], [128, "PE\0\0"]), /a program/],
    ["a page", Buffer.from("<!DOCTYPE html><p>Sign in"), /a web page: give the image file/],
    [
      "a page behind blanks",
      Buffer.from(`${"\r\n \t".repeat(SECTOR)}<HTML lang="de">`),
      /web page/,
    ],
    ["a page behind a comment", Buffer.from("<!-- x -->\n<head><title>x"), /a web page/],
    [
      "a page in XHTML",
      Buffer.from('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">'),
      /web page/,
    ],
    ["a page with a byte order mark", Buffer.from("\ufeff<html>"), /a web page/],
    ["a page in UTF-16", Buffer.from("\ufeff<html><p>Grüße", "utf16le"), /a web page/],
    [
      "a page in big-endian UTF-16",
      Buffer.from("\ufeff<html><p>Grüße", "utf16le").swap16(),
      /a web page/,
    ],
    ["a page in UTF-16 without a mark", Buffer.from("<html><body>", "utf16le"), /a web page/],
    ["a page in Latin-1", Buffer.from("<html><p>Gr\xfc\xdfe", "latin1"), /a web page/],
    [
      "an OVF",
      Buffer.from('<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1">'),
      /OVF descriptor without its disk/,
    ],
    ["XML", Buffer.from("<?xml version='1.0'?><Error><Code>NoSuchKey"), /text \(XML\)/],
    ["JSON", Buffer.from('{"error": "not found"}'), /text \(JSON\)/],
    ["a list in JSON", Buffer.from('[\n  {"id": 1}]'), /text \(JSON\)/],
    ["YAML", Buffer.from("---\na: 1\n"), /text \(YAML\)/],
    ["cloud-config", Buffer.from("#cloud-config\nusers: []\n"), /text \(YAML\)/],
    ["a script", Buffer.from("#!/bin/sh\nexit 1\n"), /a script/],
    ["a script with a byte order mark", Buffer.from("\ufeff#!/bin/sh\n"), /a script/],
    ["checksums", Buffer.from(`${"0f".repeat(32)}  disk.qcow2\n`), /list of checksums/],
    ["a signature", Buffer.from("-----BEGIN PGP SIGNATURE-----\n"), /signature or a key/],
    ["text", longText(""), /is text: give the image file/],
    ["text in Japanese", Buffer.from("見つかりません。".repeat(100)), /is text/],
    ["text with colours", longText("\x1b[31mnot found\x1b[0m\n"), /is text/],
    ["one blank line", Buffer.from("\n"), /is text/],
  ])("%s", (_, bytes, message) => {
    expect(() => formatOf(bytes)).toThrow(ImageFormatError);
    expect(() => formatOf(bytes)).toThrow(message);
  });

  test("any text of ASCII, in UTF-8 and in UTF-16", () => {
    const ascii = fc.string({ unit: "grapheme-ascii", minLength: 8, maxLength: 2000 });
    fc.assert(
      fc.property(ascii, fc.constantFrom("utf8" as const, "utf16le" as const), (text, encoding) => {
        expect(() => formatOf(Buffer.from(text, encoding))).toThrow(ImageFormatError);
      }),
    );
  });
});

describe("a disk is raw, whatever else it looks like:", () => {
  const boot = [SECTOR - 2, "\x55\xaa"] as const;

  test.each<[string, Uint8Array]>([
    ["zeros", file()],
    ["one byte that is no text", Buffer.from([0])],
    ["erased flash", Buffer.alloc(4 * SECTOR, 0xff)],
    ["a boot sector", file([0, "\xfa\x33\xc0\x8e\xd0"], [446, "\x80"], boot)],
    ["a floppy", file([0, "\xeb\x3c\x90MSDOS5.0"], boot)],
    [
      "a floppy with text where partitions are",
      file([0, "\xe9\x3c\0"], [446, "x".repeat(64)], boot),
    ],
    ["a boot sector that begins as gzip does", file([0, "\x1f\x8b\x08"], boot)],
    ["a boot sector that is a program", file([0, "MZ"], [60, "\x80\0\0\0"], [128, "PE\0\0"], boot)],
    ["a GPT behind text", file([0, "x".repeat(SECTOR)], [SECTOR, "EFI PART"])],
    ["a label of Sun", file([0, "SUN4.2G cyl 3880 alt 2 hd 16 sec 135"], [508, "\xda\xbe"])],
    ["XFS", file([0, "XFSB\0\0\x10\0"])],
    ["romfs", file([0, "-rom1fs-\0\0\x02\xb0"])],
    ["squashfs", file([0, "hsqs\x07\0\0\0"])],
    ["LVM", file([SECTOR, "LABELONE"], [SECTOR + 24, "LVM2 001"])],
    ["an ISO", isoImage("seed", [{ name: "a", content: Buffer.from("a") }])],
    ["a word and then zeros", starting("hello")],
    ["a footer that is not at the end", file([SECTOR - 8, "conectix"])],
    ["data with zeros beside it", starting("\xff\xfea\0\0\0b\0")],
  ])("%s", (_, bytes) => {
    expect(formatOf(bytes)).toBe("raw");
  });

  test("an ISO, whatever stands in the 32 KiB before its file system", () => {
    const iso = Buffer.from(isoImage("seed", [{ name: "a", content: Buffer.from("a") }]));
    for (const start of [
      "Linux/Alpha aboot for ISO filesystem. ".repeat(20),
      "\x7fELF",
      "PK\x03\x04",
    ]) {
      iso.write(start, 0, "latin1");
      expect(formatOf(iso)).toBe("raw");
    }
  });

  test("a sector that holds a zero byte and no signature", () => {
    const sector = fc.uint8Array({ minLength: SECTOR, maxLength: 2 * SECTOR });
    fc.assert(
      fc.property(sector, fc.nat(SECTOR - 1), (bytes, at) => {
        bytes.set([0, 0, 0, 0], 0);
        bytes.set([0], at);
        expect(formatOf(bytes)).toBe("raw");
      }),
    );
  });
});
