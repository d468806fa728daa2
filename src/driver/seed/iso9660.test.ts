import { describe, expect, test } from "vitest";
import { fc } from "../../../test/properties.ts";
import { readIso } from "./iso9660.test-reader.ts";
import { isoImage } from "./iso9660.ts";

const anyName = fc.stringMatching(/^[a-z0-9._-]{1,30}$/);

describe("isoImage", () => {
  test("holds any files, to be read back as they were", () => {
    const anyFiles = fc.uniqueArray(
      fc.record({ name: anyName, content: fc.uint8Array({ maxLength: 9000 }) }),
      { selector: ({ name }) => name, maxLength: 100, size: "max" },
    );
    fc.assert(
      fc.property(anyFiles, (files) => {
        const read = readIso(isoImage("cidata", files));
        expect(read.label).toBe("cidata");
        expect(new Map([...read.files].map(([name, bytes]) => [name, [...bytes]]))).toEqual(
          new Map(files.map(({ name, content }) => [name, [...content]])),
        );
      }),
      { numRuns: 60 },
    );
  });

  test("is the same bytes for the same files in any order", () => {
    const a = { name: "a", content: Buffer.from("1") };
    const b = { name: "b", content: Buffer.from("2") };
    expect(isoImage("cidata", [a, b])).toEqual(isoImage("cidata", [b, a]));
  });

  test.each(["", "a/b", "..a b", "A", "x".repeat(31)])("refuses the name %j", (name) => {
    expect(() => isoImage("cidata", [{ name, content: new Uint8Array() }])).toThrow(RangeError);
  });

  test("refuses the same name twice", () => {
    const file = { name: "a", content: new Uint8Array() };
    expect(() => isoImage("cidata", [file, file])).toThrow(RangeError);
  });

  test("refuses a label that the format cannot hold", () => {
    expect(() => isoImage("x".repeat(33), [])).toThrow(RangeError);
  });
});
