import { describe, expect, test } from "vitest";
import { fc } from "../../../../test/properties.ts";
import { blankQcow2, sparseQcow2 } from "./blank-qcow2.ts";
import { imageFormat as formatOf, sampleOf } from "./image-format.ts";
import { ImageFormatError, parseQcow2Header } from "./qcow2-header.ts";

const GIB = 1024n ** 3n;

const imageFormat = (bytes: Uint8Array) => formatOf(sampleOf(bytes));

function changed(
  image: Uint8Array,
  change: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array {
  const copy = image.slice();
  change(new DataView(copy.buffer), copy);
  return copy;
}

function vdi(type: number, blocksAllocated: number): Uint8Array {
  return changed(new Uint8Array(4096), (view) => {
    view.setUint32(0x40, 0xbeda107f, true);
    view.setUint32(0x4c, type, true);
    view.setUint32(0x158, 1024, true);
    view.setUint32(0x178, 1024, true);
    view.setUint32(0x184, blocksAllocated, true);
  });
}

function vmdk(descriptor: string, capacity = 2048n, descriptorSector = 1n): Uint8Array {
  return changed(new Uint8Array(65_536), (view, bytes) => {
    bytes.set(Buffer.from("KDMV"));
    view.setBigUint64(12, capacity, true);
    view.setBigUint64(28, descriptorSector, true);
    view.setBigUint64(36, 20n, true);
    bytes.set(Buffer.from(descriptor), 512);
  });
}

const wholeVmdk = `# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="monolithicSparse"
RW 2048 SPARSE "disk.vmdk"
`;

describe("parseQcow2Header", () => {
  test("reads a blank image of any size", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 4096n * GIB }), (size) => {
        expect(parseQcow2Header(blankQcow2(size))).toEqual({
          version: 3,
          virtualSizeBytes: size,
          clusterBytes: 65_536,
          isEncrypted: false,
          snapshots: 0,
          hasExternalDataFile: false,
          isDirty: false,
          isCorrupt: false,
          refcountBits: 16,
          incompatibleFeatures: 0n,
          unknownFeatures: 0n,
          compatibleFeatures: 0n,
          autoclearFeatures: 0n,
          headerBytes: 104,
          extensions: [],
        });
      }),
    );
  });

  test("reads the name of a backing file", () => {
    const [head] = sparseQcow2(GIB, "base.qcow2").pieces;
    expect(parseQcow2Header(head!.bytes).backingFile).toBe("base.qcow2");
  });

  test("answers or throws ImageFormatError, whatever the bytes are", () => {
    const magic = Uint8Array.of(0x51, 0x46, 0x49, 0xfb, 0, 0, 0);
    const anyHead = fc.tuple(fc.constantFrom(2, 3), fc.uint8Array({ maxLength: 300 }));
    fc.assert(
      fc.property(anyHead, ([version, rest]) => {
        try {
          parseQcow2Header(Uint8Array.of(...magic, version, ...rest));
        } catch (error) {
          expect(error).toBeInstanceOf(ImageFormatError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("imageFormat", () => {
  test("takes a blank qcow2, a whole vmdk, and any other bytes as raw", () => {
    expect(imageFormat(blankQcow2(GIB))).toBe("qcow2");
    expect(imageFormat(vmdk(wholeVmdk))).toBe("vmdk");
    expect(imageFormat(vmdk(wholeVmdk.replace("monolithicSparse", "streamOptimized")))).toBe(
      "vmdk",
    );
    expect(imageFormat(vdi(1, 3))).toBe("vdi");
    expect(imageFormat(new Uint8Array(512))).toBe("raw");
  });

  const blank = blankQcow2(GIB);
  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(), /is empty/],
    [
      "a backing file",
      changed(blank, (view) => {
        view.setBigUint64(8, 512n);
        view.setUint32(16, 5);
      }),
      /backing file/,
    ],
    ["the external data bit", changed(blank, (view) => view.setBigUint64(72, 4n)), /external data/],
    [
      "an external data file named without the bit",
      changed(blank, (view) => {
        view.setUint32(104, 0x44415441);
        view.setUint32(108, 11);
      }),
      /external data/,
    ],
    ["the dirty bit", changed(blank, (view) => view.setBigUint64(72, 1n)), /not closed/],
    ["the corrupt bit", changed(blank, (view) => view.setBigUint64(72, 2n)), /not closed/],
    [
      "an unknown bit",
      changed(blank, (view) => view.setBigUint64(72, 1n << 40n)),
      /unknown qcow2 features/,
    ],
    ["encryption", changed(blank, (view) => view.setUint32(32, 2)), /encrypted/],
    [
      "65,536 snapshots",
      changed(blank, (view) => view.setUint32(60, 65_536)),
      /65536 snapshots, and at most 1024 are allowed/,
    ],
    ["qcow version 1", changed(blank, (view) => view.setUint32(4, 1)), /old version/],
    ["a cut header", blank.subarray(0, 60), /cut short/],
    [
      "a vmdk descriptor",
      Buffer.from('# Disk DescriptorFile\nRW 1 FLAT "/etc/passwd" 0'),
      /descriptor/,
    ],
    ["a vmdk descriptor behind comments", Buffer.from("#x\n\nversion=1\n"), /descriptor/],
    ["a vmdk without data of its own", vmdk(wholeVmdk, 0n), /no data/],
    ["a vmdk with its descriptor elsewhere", vmdk(wholeVmdk, 2048n, 90n), /not in sector 1/],
    ["a vmdk with a parent", vmdk(`${wholeVmdk}parentFileNameHint="/etc/passwd"\n`), /parent/],
    [
      "a vmdk with a parent behind a zero",
      vmdk(`${wholeVmdk}\0parentFileNameHint="x"\n`),
      /parent/,
    ],
    ["a flat vmdk", vmdk(wholeVmdk.replace("monolithicSparse", "monolithicFlat")), /its type/],
    ["a vmdk of two extents", vmdk(`${wholeVmdk}RW 1 FLAT "/etc/passwd" 0\n`), /other files/],
    [
      "a vmdk extent in a folder",
      vmdk(wholeVmdk.replace("disk.vmdk", "/etc/passwd")),
      /other files/,
    ],
    ["a vdi that is cut short", vdi(1, 4), /truncated/],
    ["a vdi with a parent", vdi(4, 3), /rests on another/],
    ["a vmdk descriptor that is not padded", Buffer.from(wholeVmdk), /qemu-img convert -f vmdk/],
  ])("refuses %s", (_, head, message) => {
    expect(() => imageFormat(head)).toThrow(ImageFormatError);
    expect(() => imageFormat(head)).toThrow(message);
  });
});
