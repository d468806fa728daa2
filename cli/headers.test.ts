import { expect, test } from "vitest";
import { fc } from "../test/properties.ts";
import { LightHeaders } from "./headers.ts";

const name = fc.constantFrom("a", "A", "x-b", "Set-Cookie", "n0-z", "grpc-status", "", "a b", "ü");
const value = fc.oneof(
  fc.string(),
  fc.constantFrom("v", " v\t", "a, b", "two\r\nlines", "\0", "é", "…", "\r\n"),
);
const call = fc.oneof(
  fc.tuple(fc.constantFrom("append" as const, "set" as const), name, value),
  fc.tuple(fc.constantFrom("get" as const, "has" as const, "delete" as const), name),
);

/** What one call came to: its answer, or that it threw. */
function outcome(work: () => unknown): unknown {
  try {
    return work();
  } catch (reason) {
    return reason instanceof TypeError ? "TypeError" : reason;
  }
}

test("does what Node's own Headers do", () => {
  fc.assert(
    fc.property(fc.array(call), (calls) => {
      const ours = new LightHeaders();
      const nodes = new Headers();
      for (const [method, ...args] of calls) {
        const on = (headers: LightHeaders | Headers) =>
          outcome(() => Reflect.apply(headers[method], headers, args));
        expect(on(ours)).toEqual(on(nodes));
      }
      expect([...ours]).toEqual([...nodes]);
      expect([...ours.keys()]).toEqual([...nodes.keys()]);
      expect([...ours.values()]).toEqual([...nodes.values()]);
      expect(ours.getSetCookie()).toEqual(nodes.getSetCookie());
      const seen: string[][] = [];
      ours.forEach((v, n) => seen.push([n, v]));
      expect(seen).toEqual([...nodes]);
    }),
  );
});

test.each([
  undefined,
  { a: "1", B: "2" },
  [
    ["a", "1"],
    ["a", "2"],
  ] satisfies [string, string][],
  new Headers({ a: "1" }),
])("is made of what Node's own Headers are made of", (init) => {
  expect([...new LightHeaders(init)]).toEqual([...new Headers(init)]);
  expect([...new LightHeaders(new LightHeaders(init))]).toEqual([...new Headers(init)]);
});
