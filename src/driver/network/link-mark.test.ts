import { expect, test } from "vitest";
import { fc } from "../../../test/properties.ts";
import { checkPrefix, formatLinkMark, parseLinkMark } from "./link-mark.ts";

const mark = { owner: "virtual_machine/web-1", transactionId: "0197-ab" };

test("a mark reads back as it was written", () => {
  expect(formatLinkMark("n0-", mark)).toBe("n0stack:n0-:virtual_machine/web-1:0197-ab");
  expect(parseLinkMark("n0-", formatLinkMark("n0-", mark))).toEqual(mark);
  const ready = { ...mark, state: "ready" };
  expect(parseLinkMark("n0-", formatLinkMark("n0-", ready))).toEqual(ready);
});

test("what is not a mark of this instance is none", () => {
  const others = [undefined, "", "uplink to rack 4", "n0stack:n0-", "n0stack:n0-::x", "n0stack"];
  for (const text of others) expect(parseLinkMark("n0-", text)).toBeUndefined();
  expect(parseLinkMark("n0-", "n0stack:n1-:network/a:t")).toBeUndefined();
  expect(parseLinkMark("n0-", "n0stack:n0-:network/a:t:ready:more")).toBeUndefined();
});

test("a mark is refused rather than cut or misread", () => {
  const longest = 255 - "n0stack:n0-::".length - mark.transactionId.length;
  expect(formatLinkMark("n0-", { ...mark, owner: "a".repeat(longest) })).toHaveLength(255);
  for (const owner of [
    "a".repeat(longest + 1),
    "",
    "a b",
    "a:b",
    'a"b',
    "a\nlink del eth0",
    "#a",
  ]) {
    expect(() => formatLinkMark("n0-", { ...mark, owner })).toThrow(/mark/);
  }
});

test("whatever is accepted is one word and reads back", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (owner, transactionId) => {
      let text: string;
      try {
        text = formatLinkMark("n0-", { owner, transactionId });
      } catch {
        return;
      }
      expect(text).toMatch(/^[\x21-\x7e]{1,255}$/);
      expect(parseLinkMark("n0-", text)).toEqual({ owner, transactionId });
    }),
  );
});

test("a prefix is a short lower-case word", () => {
  checkPrefix("n0-");
  for (const prefix of ["", "-n0", "N0", "n0/", "n0:", "a".repeat(32)]) {
    expect(() => checkPrefix(prefix)).toThrow(/prefix/);
  }
});
