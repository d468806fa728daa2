import type { DescField, ScalarType as Scalar } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { Dice } from "../sim/dice.ts";

/** Few names, so that requests collide: one deletes what another makes. None is the name of the node itself. */
const NAMES = ["a", "b", "c", "d.e-f_g", "A".repeat(63)];
const STRANGE = [
  "",
  " ",
  "\0",
  "\n",
  "-",
  ".",
  "..",
  "../../../etc/passwd",
  "a/b",
  "A".repeat(64),
  "%s%n%00",
  "${jndi:x}",
  "<domain/>]]>&amp;",
  "'; DROP TABLE records; --",
  "\u202E\u0007\u001b[2J",
  "🦆".repeat(20),
  "__proto__",
  "constructor",
  "x".repeat(300),
  " ".repeat(17_000),
  "9".repeat(5000),
  "=".repeat(70_000),
];
const URLS = [
  "",
  "http://",
  "http://127.0.0.1:1/x",
  "http://[::ffff:127.0.0.1]:1/",
  "http://169.254.169.254/latest/meta-data",
  "file:///etc/passwd",
  "file:///etc/../etc/shadow#x",
  "http://a:b@127.0.0.1:1/",
  "gopher://x",
  `http://127.0.0.1:1/${"a/".repeat(5000)}`,
];
const CIDRS = [
  "10.0.0.1/24",
  "192.168.0.0/30",
  "fd00::/64",
  "0.0.0.0/0",
  "10.0.0.0/33",
  "::/0",
  "127.0.0.1/8",
];
const ADDRESSES = [
  "10.0.0.7",
  "fd00::7",
  "none",
  "127.0.0.1:1",
  "999.1.1.1",
  "::ffff:1.2.3.4",
  "127.0.0.1:99999",
];
const MACS = ["52:54:00:00:00:01", "ff:ff:ff:ff:ff:ff", "zz"];
const MIME = 'Content-Type: multipart/mixed; boundary="B"\nMIME-Version: 1.0\n\n';
/** Deep, long, with many references to one value, with many parts, and no text. */
const USER_DATA = [
  ...["[", "{a: ", "- ", "? ", "a: ", '"', "\n- ", "<<: *a\n"].map(
    (piece) => `#cloud-config\na: &a ${piece.repeat(65_000 / piece.length)}`,
  ),
  `#cloud-config\n${Array.from({ length: 360 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")}`,
  `#cloud-config\na: &a [x]\n${"b: [*a, *a, *a, *a]\n".repeat(3000)}`,
  `${MIME}${"--B\n".repeat(16_000)}`,
  `${MIME}${`${MIME}--B\n`.repeat(900)}`,
  `Content-Type: ${"multipart/mixed;".repeat(4000)}\n\n`,
  "#!/bin/sh\n\0\u001f\u202e\ufffd",
  "\u001f\ufffd\b\0",
  `#!${"x".repeat(65_534)}`,
  `#!${"x".repeat(65_535)}`,
];
const UUIDS = ["0c7c04d8-4d35-4b54-9d94-6ad5e75e1d2a", "not-a-uuid", "{0c7c04d8}"];

/** A string that a field of that name may hold, or must not. */
export function stringFor({ name }: Pick<DescField, "name">, dice: Dice): string {
  if (dice.chance(0.2)) return dice.pick(STRANGE);
  if (/url/.test(name)) return dice.pick(URLS);
  if (/cidr/.test(name)) return dice.pick(CIDRS);
  if (/hardware/.test(name)) return dice.pick(MACS);
  if (/address|endpoint|gateway/.test(name)) return dice.pick(ADDRESSES);
  if (/user_data/.test(name)) return dice.pick(USER_DATA);
  if (/uuid/.test(name)) return dice.pick(UUIDS);
  return dice.pick(NAMES);
}

const SMALL = [0, 1, 2, 100, 1000];
const INT32 = [...SMALL, -1, 2 ** 31 - 1, -(2 ** 31)];
const UINT32 = [...SMALL, 2 ** 31, 2 ** 32 - 1];
const INT64 = [0n, 1n, 1n << 20n, 1n << 30n, -1n, (1n << 63n) - 1n, -(1n << 63n)];
const UINT64 = [0n, 1n, 512n, 1n << 20n, 1n << 30n, 1n << 40n, (1n << 53n) + 1n, (1n << 64n) - 1n];
const FLOATS = [0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 3.4e38];

/** A value of that type, most often at a limit. */
export function scalarFor(field: DescField, type: Scalar, dice: Dice): unknown {
  switch (type) {
    case ScalarType.STRING:
      return stringFor(field, dice);
    case ScalarType.BYTES:
      return new Uint8Array(dice.pick([0, 1, 100, 4096, dice.chance(0.05) ? 300_000 : 7])).fill(
        0x41,
      );
    case ScalarType.BOOL:
      return dice.chance(0.5);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return dice.pick(FLOATS);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return dice.pick(UINT32);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return dice.pick(INT32);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return dice.pick(UINT64);
    default:
      return dice.pick(INT64);
  }
}

/** The number of items of a list or map: few, and sometimes far too many. */
export function countFor(dice: Dice): number {
  if (dice.chance(0.01)) return 20_000;
  return dice.chance(0.03) ? 300 : dice.below(4);
}
