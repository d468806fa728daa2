import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";
import type { Dice } from "../sim/dice.ts";

const MIB = 1024n * 1024n;
const BLANK = blankQcow2(64n * MIB);

/** A qcow2 with one field of its header changed, by its place and width (QEMU's docs/interop/qcow2.txt). */
function withField(at: number, bytes: 4 | 8, value: bigint): Buffer {
  const out = Buffer.from(BLANK);
  if (bytes === 4) out.writeUInt32BE(Number(BigInt.asUintN(32, value)), at);
  else out.writeBigUInt64BE(BigInt.asUintN(64, value), at);
  return out;
}

const FIELDS: readonly (readonly [at: number, bytes: 4 | 8])[] = [
  ...([4, 16, 20, 32, 36, 56, 60, 96, 100] as const).map((at) => [at, 4] as const),
  ...([8, 24, 40, 48, 64, 72, 80, 88] as const).map((at) => [at, 8] as const),
];
const VALUES = [
  0n,
  1n,
  2n,
  3n,
  9n,
  21n,
  64n,
  104n,
  65_535n,
  1n << 16n,
  1n << 31n,
  1n << 32n,
  1n << 62n,
  -1n,
  -512n,
];

const vmdk = (extent: string) =>
  Buffer.from(
    `# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n${extent}\n`,
  );

/** Files that are offered as images. */
export const IMAGES: Readonly<Record<string, (dice: Dice) => Buffer>> = {
  "a header with a wrong field": (dice) => withField(...dice.pick(FIELDS), dice.pick(VALUES)),
  "a header cut short": (dice) => Buffer.from(BLANK).subarray(0, dice.below(120)),
  "an image cut short": (dice) => Buffer.from(BLANK).subarray(0, dice.below(BLANK.length)),
  "bits turned over": (dice) => {
    const out = Buffer.from(BLANK);
    for (let i = 0; i < 20; i++)
      out[dice.below(Math.min(out.length, 300_000))]! ^= 1 << dice.below(8);
    return out;
  },
  "a backing file": () => {
    const out = withField(8, 8, 512n);
    const name = "/etc/shadow";
    out.writeUInt32BE(name.length, 16);
    out.write(name, 512);
    return out;
  },
  "an endless header extension": () => {
    const out = Buffer.from(BLANK);
    for (let at = 104; at + 8 <= 4096; at += 8) out.writeUInt32BE(0x41414141, at);
    return out;
  },
  "65,536 snapshots": () => withField(60, 4, 65_536n),
  "a vmdk of blanks": () => vmdk(" ".repeat(64_000)),
  "a vmdk of quotes": () => vmdk('"'.repeat(64_000)),
  "a vmdk over another file": () => vmdk('RW 100 FLAT "/etc/passwd" 0'),
  "a vmdk of many extents": () => vmdk('RW 1 FLAT "x" 0\n'.repeat(4_000)),
  nothing: () => Buffer.alloc(0),
  "one byte": () => Buffer.from("Q"),
  "a page of HTML": () => Buffer.from("<!doctype html><html><body>404</body></html>"),
  "a page of noise": (dice) => Buffer.from(Array.from({ length: 4096 }, () => dice.below(256))),
  "the magic of another format": (dice) => {
    const magic = dice.pick([
      "vhdxfile",
      "conectix",
      "KDMV",
      "QED\0",
      "<<< Oracle VM VirtualBox",
      "7z\xbc\xaf\x27\x1c",
      "\x1f\x8b\x08",
      "PK\x03\x04",
      "\xfd7zXZ\0",
      "LUKS\xba\xbe",
      "WithoutFreeSpace",
    ]);
    return Buffer.concat([Buffer.from(magic, "latin1"), Buffer.alloc(70_000)]);
  },
};
