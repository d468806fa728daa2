import { expect, test } from "vitest";
import { fc } from "../../../../test/properties.ts";
import { escapeXml, findElement, findElements, parseXml } from "./xml.ts";

const xmlText = fc
  .string({ unit: "grapheme" })
  .filter((text) => /^[\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]*$/u.test(text));

test("what is escaped is read back as it was, in text and in attributes", () => {
  fc.assert(
    fc.property(xmlText, (text) => {
      const escaped = escapeXml(text);
      const root = parseXml(`<a single='${escaped}' double="${escaped}">${escaped}</a>`);
      expect(root.text).toBe(text);
      expect(root.attributes.get("single")).toBe(text);
      expect(root.attributes.get("double")).toBe(text);
    }),
  );
});

test("an escaped value cannot end its attribute or element", () => {
  const hostile = `'/><disk path="/etc/shadow"/>&x;]]>`;
  const root = parseXml(`<a b='${escapeXml(hostile)}'><c/></a>`);
  expect(root.children.map(({ name }) => name)).toEqual(["c"]);
  expect(root.attributes.get("b")).toBe(hostile);
});

test("characters that XML cannot hold are refused", () => {
  for (const text of ["\0", "a\u0008", "\uFFFF", "\uD800"]) {
    expect(() => escapeXml(text)).toThrow("control character");
  }
});

test("nested elements, comments and CDATA are read", () => {
  const root = parseXml(
    "<?xml version='1.0'?>\n<!-- <x> -->\n<a><b n='1'/><b n='2'><c>x<![CDATA[<y>]]></c></b></a>\n",
  );
  expect(findElements(root, "b").map((b) => b.attributes.get("n"))).toEqual(["1", "2"]);
  expect(findElement(root, "b", "c")?.text).toBe("x<y>");
});

test("tags that do not match are an error", () => {
  for (const document of ["", "<a>", "<a></b>", "</a>", "<a><b></a></b>"]) {
    expect(() => parseXml(document)).toThrow("cannot be read");
  }
});
