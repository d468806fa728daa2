import { describe, expect, test } from "vitest";
import { blankQcow2, sparseQcow2 } from "./blank-qcow2.ts";
import { isOwnQcow2, OWN_QCOW2_OPTIONS } from "./own-qcow2.ts";
import { parseQcow2Header } from "./qcow2-header.ts";

const GIB = 1024n ** 3n;

function isOwn(change: (view: DataView, bytes: Uint8Array) => void = () => {}): boolean {
  const bytes = blankQcow2(GIB);
  change(new DataView(bytes.buffer), bytes);
  return isOwnQcow2(parseQcow2Header(bytes));
}

describe("isOwnQcow2", () => {
  test("takes what sparseQcow2 writes", () => {
    expect(isOwn()).toBe(true);
  });

  test("takes the header that QEMU writes: longer, with the names of the feature bits", () => {
    const asQemu = (view: DataView) => {
      view.setUint32(100, 112);
      view.setUint32(112, 0x6803f857);
      view.setUint32(116, 0x180);
    };
    expect(isOwn(asQemu)).toBe(true);
  });

  test.each<[string, (view: DataView) => void]>([
    ["version 2", (view) => view.setUint32(4, 2)],
    ["small clusters", (view) => view.setUint32(20, 9)],
    ["large clusters", (view) => view.setUint32(20, 21)],
    ["a broken sector at its end", (view) => view.setBigUint64(24, GIB - 1n)],
    ["encryption", (view) => view.setUint32(32, 1)],
    ["snapshots", (view) => view.setUint32(60, 1)],
    ["a compression type", (view) => view.setBigUint64(72, 8n)],
    ["extended L2 entries", (view) => view.setBigUint64(72, 16n)],
    ["lazy reference counts", (view) => view.setBigUint64(80, 1n)],
    ["an unknown compatible feature", (view) => view.setBigUint64(80, 1n << 63n)],
    ["an autoclear feature", (view) => view.setBigUint64(88, 1n)],
    ["reference counts of one bit", (view) => view.setUint32(96, 0)],
    ["reference counts of 64 bits", (view) => view.setUint32(96, 6)],
    ["a header of fields that are not known", (view) => view.setUint32(100, 120)],
    ["bitmaps", (view) => view.setUint32(104, 0x23852875)],
    ["an unknown extension", (view) => view.setUint32(104, 0x12345678)],
  ])("does not take %s", (_, change) => {
    expect(isOwn(change)).toBe(false);
  });

  test("does not take an overlay", () => {
    const [head] = sparseQcow2(GIB, "base.qcow2").pieces;
    expect(isOwnQcow2(parseQcow2Header(head!.bytes))).toBe(false);
  });

  test("asks qemu-img for the same", () => {
    expect(OWN_QCOW2_OPTIONS).toBe("compat=1.1,cluster_size=65536,refcount_bits=16");
  });
});
