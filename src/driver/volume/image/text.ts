const SECTOR_BYTES = 512;
/** Tab, line feed, vertical tab, form feed, carriage return, escape. */
const TEXT_CONTROLS = [0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1b];
/** Code points that are not assigned, are private, or are half of a surrogate pair. */
const NO_CHARACTER = /[\p{Cn}\p{Co}\p{Cs}]/u;
/** In a shorter text, a zero in every other byte proves nothing. */
const UTF16_BYTES_MIN = 8;
/** Enough to tell the kinds of text apart. */
const KIND_LENGTH = 4096;

type Encoding = "utf-8" | "utf-16le" | "utf-16be" | "latin1";

/** In the order in which they are tried, on a text without leading blanks. */
const KINDS: ReadonlyArray<readonly [pattern: RegExp, what: string]> = [
  [/^(?=<)[^]*?<(?:!doctype\s+html|(?:html|head|body)[\s>])/i, "a web page"],
  [/^<(?:title|meta|script)[\s>]/i, "a web page"],
  [/^(?=<)[^]*?<(?:[\w.-]+:)?Envelope\s[^<>]*ovf/i, "an OVF descriptor without its disk"],
  [/^<(?:[?!]|[a-z])/i, "text (XML)"],
  [/^#!/, "a script"],
  [/^(?:#cloud-config|---\s|%YAML)/, "text (YAML)"],
  [/^(?:\{\s*["}]|\[\s*[[\]{"\d])/, "text (JSON)"],
  [/^(?:[0-9a-f]{32,128}[ \t]|SHA\d+ ?\()/i, "a list of checksums"],
  [/^-----BEGIN /, "a signature or a key"],
];

/**
 * The kind of text in the file, such as "a web page"; undefined if the file is not text. A file is text if all
 * of its first sector is printable, in UTF-8, in UTF-16, or in an older encoding that contains ASCII. The first
 * sector of a disk holds a boot loader, tables or zeros, and none of them is printable.
 *
 * @param head The first bytes of the file.
 */
export function textKind(head: Uint8Array): string | undefined {
  const encoding = encodingOf(head.subarray(0, SECTOR_BYTES));
  if (encoding === undefined) return undefined;
  const text = new TextDecoder(encoding).decode(head).trimStart().slice(0, KIND_LENGTH);
  return KINDS.find(([pattern]) => pattern.test(text))?.[1] ?? "text";
}

function encodingOf(sector: Uint8Array): Encoding | undefined {
  const wide = utf16Of(sector);
  if (wide !== undefined) return isPrintable(sector, wide) ? wide : undefined;
  if (sector.length === 0 || !sector.every(mayBeInText)) return undefined;
  if (isPrintable(sector, "utf-8")) return "utf-8";
  const asciiBytes = sector.filter((byte) => byte < 0x80).length;
  return asciiBytes * 2 >= sector.length ? "latin1" : undefined;
}

/** Decides by the byte order mark, or without one by the zeros beside each ASCII character. */
function utf16Of(sector: Uint8Array): Encoding | undefined {
  const [first, second] = sector;
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  if (sector.length < UTF16_BYTES_MIN) return undefined;
  if (sector.every((byte, at) => (byte === 0) === (at % 2 === 1))) return "utf-16le";
  if (sector.every((byte, at) => (byte === 0) === (at % 2 === 0))) return "utf-16be";
  return undefined;
}

/** For a byte, or the code of a character. */
function mayBeInText(code: number): boolean {
  return (code >= 0x20 && code !== 0x7f) || TEXT_CONTROLS.includes(code);
}

/** The end of the sector may cut the last character. */
function isPrintable(sector: Uint8Array, encoding: Encoding): boolean {
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(sector, { stream: true });
    const isText = Array.from(text).every((character) =>
      mayBeInText(character.codePointAt(0) ?? 0),
    );
    return isText && !NO_CHARACTER.test(text);
  } catch {
    return false;
  }
}
