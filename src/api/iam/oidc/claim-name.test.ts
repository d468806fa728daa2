import fc from "fast-check";
import { expect, test } from "vitest";
import { NAME } from "../../../util/ref.ts";
import { claimName } from "./claim-name.ts";

test.for([
  ["alice", "alice"],
  ["alice.b-c_d", "alice.b-c_d"],
  ["alice@corp.example", "alice_x40corp.example"],
  ["a_x40b", "a_x5fx40b"],
  ["/devs/kernel", "x_x._x2fdevs_x2fkernel"],
  ["Domain Admins", "Domain_x20Admins"],
  ["ü", "x_x._xc3_xbc"],
  ["", undefined],
  ["a".repeat(63), "a".repeat(63)],
  ["a".repeat(64), undefined],
  ["@".repeat(40), undefined],
  ["a\ud800", undefined],
] as const)("%j becomes the name %j", ([text, name]) => {
  expect(claimName(text)).toBe(name);
});

/** What `claimName` made the name of. */
function textOf(name: string): string {
  const body = name.startsWith("x_x.") ? name.slice(4) : name;
  const percents = body.replaceAll("%", "").replaceAll(/_x([0-9a-f]{2})/g, "%$1");
  return decodeURIComponent(percents);
}

test("each name is a name, and of one text only", () => {
  const texts = fc.string({ unit: fc.constantFrom(..."_x.-@/4a0fxé"), maxLength: 20 });
  fc.assert(
    fc.property(texts, (text) => {
      const name = claimName(text);
      if (name === undefined) return;
      expect(name).toMatch(NAME);
      expect(textOf(name)).toBe(text);
    }),
    { numRuns: 5000 },
  );
});
