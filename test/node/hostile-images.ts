import { deflateRawSync } from "node:zlib";
import { blankQcow2 } from "../../src/driver/volume/image/blank-qcow2.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const CLUSTER = 64 * KIB;
const L1_TABLE = 3 * CLUSTER;
const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;

export interface HostileImage {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The changes of the files. Offsets are those of QEMU's docs/interop/qcow2.txt. */
type Change = (bytes: Buffer, view: DataView) => Buffer | undefined;

/** A correct file of 1 MiB with one L2 table and one cluster of data. */
function goodQcow2(): Buffer {
  const bytes = Buffer.alloc(6 * CLUSTER);
  bytes.set(blankQcow2(BigInt(MIB)));
  const view = viewOf(bytes);
  view.setBigUint64(L1_TABLE, COPIED | BigInt(4 * CLUSTER));
  view.setBigUint64(4 * CLUSTER, COPIED | BigInt(5 * CLUSTER));
  for (let cluster = 0; cluster < 6; cluster += 1) view.setUint16(2 * CLUSTER + 2 * cluster, 1);
  bytes.fill("data", 5 * CLUSTER);
  return bytes;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function qcow2(name: string, change: Change): HostileImage {
  const bytes = goodQcow2();
  return { name: `a qcow2 ${name}`, bytes: change(bytes, viewOf(bytes)) ?? bytes };
}

/** Bytes from a seed, so that each run is the same. */
function noiseOf(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** The first cluster of the guest is compressed, in the sixth cluster of the file. */
function withCompressed(bytes: Buffer, view: DataView, data: Buffer): undefined {
  const sectors = BigInt(Math.ceil(data.length / 512) - 1);
  view.setBigUint64(4 * CLUSTER, COMPRESSED | (sectors << 54n) | BigInt(5 * CLUSTER));
  bytes.fill(0, 5 * CLUSTER);
  bytes.set(data, 5 * CLUSTER);
}

/** `count` snapshots. The first has this table, and the others have none. */
function withSnapshots(bytes: Buffer, view: DataView, count: number, l1Offset: bigint): Buffer {
  const entries = Buffer.alloc(count * 64);
  for (let one = 0; one < count; one += 1) {
    const entry = viewOf(entries.subarray(one * 64));
    entry.setBigUint64(0, one === 0 ? l1Offset : 0n);
    entry.setUint32(8, one === 0 ? 1 : 0);
    entry.setUint16(12, 4);
    entry.setUint16(14, 4);
    entry.setUint32(36, 16);
    entries.write(one.toString(16).padStart(8, "0"), one * 64 + 56);
  }
  view.setUint32(60, count);
  view.setBigUint64(64, BigInt(bytes.length));
  return Buffer.concat([bytes, entries]);
}

const QCOW2: readonly HostileImage[] = [
  qcow2("that is right", () => undefined),
  qcow2("cut in its header", (bytes) => bytes.subarray(0, 90)),
  qcow2("cut in its tables", (bytes) => bytes.subarray(0, 2 * CLUSTER + 7)),
  qcow2("cut before its data", (bytes) => bytes.subarray(0, 4 * CLUSTER)),
  qcow2(
    "of a size that no disk has",
    (_, view) => view.setBigUint64(24, 2n ** 64n - 512n) as undefined,
  ),
  qcow2("of size 0", (_, view) => view.setBigUint64(24, 0n) as undefined),
  qcow2("of an odd size", (_, view) => view.setBigUint64(24, 12_345n) as undefined),
  qcow2("of 1 EiB with a table for it", (_, view) => {
    view.setBigUint64(24, 2n ** 60n);
    view.setUint32(36, 2 ** 31);
    return undefined;
  }),
  qcow2(
    "with an L1 table of 4 billion entries",
    (_, view) => view.setUint32(36, 0xffff_ffff) as undefined,
  ),
  qcow2("with an L1 table of 32 MiB", (_, view) => view.setUint32(36, 4 * MIB) as undefined),
  qcow2("with an L1 table that is too short", (_, view) => view.setUint32(36, 0) as undefined),
  qcow2(
    "with its L1 table beyond its end",
    (_, view) => view.setBigUint64(40, 2n ** 50n) as undefined,
  ),
  qcow2("with its L1 table in its header", (_, view) => view.setBigUint64(40, 0n) as undefined),
  qcow2(
    "with its L1 table at an odd place",
    (_, view) => view.setBigUint64(40, 12_345n) as undefined,
  ),
  qcow2(
    "whose L1 table names itself",
    (_, view) => view.setBigUint64(L1_TABLE, COPIED | BigInt(L1_TABLE)) as undefined,
  ),
  qcow2(
    "whose L2 table names itself",
    (_, view) => view.setBigUint64(4 * CLUSTER, COPIED | BigInt(4 * CLUSTER)) as undefined,
  ),
  qcow2(
    "whose data is its header",
    (_, view) => view.setBigUint64(4 * CLUSTER, COPIED) as undefined,
  ),
  qcow2("whose clusters are all the same one", (_, view) => {
    for (let at = 0; at < 16; at += 1) view.setBigUint64(4 * CLUSTER + 8 * at, BigInt(5 * CLUSTER));
    return undefined;
  }),
  qcow2(
    "with data beyond its end",
    (_, view) => view.setBigUint64(4 * CLUSTER, COPIED | (1n << 40n)) as undefined,
  ),
  qcow2(
    "with reserved bits in its tables",
    (_, view) => view.setBigUint64(4 * CLUSTER, 0xffff_ffff_ffff_ffffn) as undefined,
  ),
  qcow2(
    "with wrong reference counts",
    (bytes) => bytes.fill(0xff, 2 * CLUSTER, 3 * CLUSTER) && undefined,
  ),
  qcow2("without reference counts", (bytes) => bytes.fill(0, CLUSTER, 3 * CLUSTER) && undefined),
  qcow2(
    "with a reference count table of 4 billion clusters",
    (_, view) => view.setUint32(56, 0xffff_ffff) as undefined,
  ),
  qcow2(
    "with its reference counts beyond its end",
    (_, view) => view.setBigUint64(48, 2n ** 56n) as undefined,
  ),
  qcow2(
    "whose reference counts count themselves",
    (_, view) => view.setBigUint64(CLUSTER, BigInt(CLUSTER)) as undefined,
  ),
  qcow2("with a compressed cluster that does not inflate", (bytes, view) =>
    withCompressed(bytes, view, noiseOf(1, 4096)),
  ),
  qcow2("with a compressed cluster that is cut", (bytes, view) =>
    withCompressed(bytes, view, deflateRawSync(noiseOf(2, CLUSTER)).subarray(0, 1000)),
  ),
  qcow2("with a compressed cluster of too little", (bytes, view) =>
    withCompressed(bytes, view, deflateRawSync(Buffer.from("little"))),
  ),
  qcow2("with a compressed cluster that never ends", (bytes, view) =>
    withCompressed(bytes, view, deflateRawSync(Buffer.alloc(MIB))),
  ),
  qcow2("with 65,536 snapshots", (bytes, view) => withSnapshots(bytes, view, 65_536, 0n)),
  qcow2(
    "with 4 billion snapshots that are not there",
    (_, view) => view.setUint32(60, 0xffff_ffff) as undefined,
  ),
  qcow2("with a snapshot whose table is its header", (bytes, view) =>
    withSnapshots(bytes, view, 2, 0n),
  ),
  qcow2("with a snapshot beyond its end", (bytes, view) =>
    withSnapshots(bytes, view, 2, 2n ** 50n),
  ),
  qcow2("with a bitmap extension of rubbish", (bytes, view) => {
    view.setUint32(104, 0x2385_2875);
    view.setUint32(108, 24);
    bytes.fill(0xff, 112, 136);
    view.setBigUint64(88, 1n);
    return undefined;
  }),
  qcow2("with a header extension that is longer than it", (_, view) => {
    view.setUint32(104, 0x1234_5678);
    view.setUint32(108, 0xffff_ffff);
    return undefined;
  }),
  qcow2(
    "with clusters of 512 bytes in a header for 64 KiB",
    (_, view) => view.setUint32(20, 9) as undefined,
  ),
  qcow2(
    "with clusters of 2 MiB in a header for 64 KiB",
    (_, view) => view.setUint32(20, 21) as undefined,
  ),
  qcow2("with an unknown way of compression", (_, view) => {
    view.setBigUint64(72, 8n);
    view.setUint32(100, 112);
    view.setUint8(104, 200);
    return undefined;
  }),
  qcow2(
    "with extended L2 entries that are none",
    (_, view) => view.setBigUint64(72, 16n) as undefined,
  ),
];

function vmdk(name: string, change: (view: DataView, bytes: Buffer) => void): HostileImage {
  const bytes = Buffer.alloc(4 * CLUSTER);
  const view = viewOf(bytes);
  bytes.write("KDMV");
  view.setUint32(4, 1, true);
  view.setUint32(8, 3, true);
  view.setBigUint64(12, 2048n, true);
  view.setBigUint64(20, 128n, true);
  view.setBigUint64(28, 1n, true);
  view.setBigUint64(36, 20n, true);
  view.setUint32(44, 512, true);
  view.setBigUint64(48, 21n, true);
  view.setBigUint64(56, 26n, true);
  view.setBigUint64(64, 128n, true);
  bytes.write("\n \r\n", 73, "latin1");
  bytes.write(
    '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicSparse"\nRW 2048 SPARSE "a.vmdk"\n',
    512,
  );
  change(view, bytes);
  return { name: `a vmdk ${name}`, bytes };
}

function vdi(name: string, change: (view: DataView) => void): HostileImage {
  const bytes = Buffer.alloc(CLUSTER);
  const view = viewOf(bytes);
  bytes.write("<<< QEMU VM Virtual Disk Image >>>\n");
  view.setUint32(0x40, 0xbeda_107f, true);
  view.setUint32(0x44, 0x0001_0001, true);
  view.setUint32(0x48, 0x190, true);
  view.setUint32(0x4c, 1, true);
  view.setUint32(0x154, 0x200, true);
  view.setUint32(0x158, 0x400, true);
  view.setUint32(0x168, 512, true);
  view.setBigUint64(0x170, BigInt(MIB), true);
  view.setUint32(0x178, MIB, true);
  view.setUint32(0x180, 1, true);
  change(view);
  return { name: `a vdi ${name}`, bytes };
}

const OTHERS: readonly HostileImage[] = [
  vmdk("with empty directories", () => {}),
  vmdk("whose directory names itself", (view) => view.setUint32(26 * 512, 26, true)),
  vmdk("with grains of 2^60 sectors", (view) => view.setBigUint64(20, 2n ** 60n, true)),
  vmdk("with no entries in a table", (view) => view.setUint32(44, 0, true)),
  vmdk("of 2^63 sectors", (view) => view.setBigUint64(12, 2n ** 63n, true)),
  vmdk("with its directory beyond its end", (view) => view.setBigUint64(56, 2n ** 40n, true)),
  vmdk("with compressed grains that are none", (view, bytes) => {
    view.setUint32(4, 3, true);
    view.setUint32(8, 0x3_0003, true);
    view.setUint16(77, 1, true);
    view.setUint32(26 * 512, 30, true);
    view.setUint32(30 * 512, 40, true);
    bytes.set(noiseOf(3, 512), 40 * 512);
  }),
  vdi("with no data", () => {}),
  vdi("with blocks of no size", (view) => view.setUint32(0x178, 0, true)),
  vdi("of 4 billion blocks", (view) => {
    view.setUint32(0x180, 0xffff_ffff, true);
    view.setBigUint64(0x170, 2n ** 52n, true);
  }),
  vdi("whose map is beyond its end", (view) => view.setUint32(0x154, 0xffff_fe00, true)),
  {
    name: "an empty vhdx",
    bytes: Buffer.concat([Buffer.from("vhdxfile"), Buffer.alloc(4 * MIB)]),
  },
  { name: "a vhdx of noise", bytes: Buffer.concat([Buffer.from("vhdxfile"), noiseOf(4, 2 * MIB)]) },
  { name: "one byte", bytes: Buffer.from([0]) },
  { name: "a qcow2's magic alone", bytes: Buffer.from("QFI\xfb\0\0\0\x03", "latin1") },
];

/** Correct files, each with some bytes of its first clusters replaced. */
function mutants(count: number): HostileImage[] {
  return Array.from({ length: count }, (_, index) => {
    const bytes = goodQcow2();
    const noise = noiseOf(100 + index, 64);
    for (let at = 0; at < 8; at += 1) {
      const place = noise.readUInt32BE(8 * at) % (at < 4 ? 104 : bytes.length);
      // The magic and the version stay, otherwise it is not a qcow2.
      bytes[Math.max(8, place)] = noise[8 * at + 4] ?? 0;
    }
    return { name: `a qcow2 with bytes changed, number ${index}`, bytes };
  });
}

/** Small files that no honest program writes, of every format that is read. */
export const HOSTILE_IMAGES: readonly HostileImage[] = [...QCOW2, ...OTHERS, ...mutants(16)];
