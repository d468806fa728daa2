import { expect, expectTypeOf, test } from "vitest";
import { defined, nonEmpty } from "./defined.ts";

test("only what is undefined is left out", () => {
  const members = { none: undefined, zero: 0, empty: "", nothing: null, no: false };
  expect(Object.keys(defined(members))).toEqual(["zero", "empty", "nothing", "no"]);
});

test("a member that may be undefined becomes one that may be missing", () => {
  const size = nonEmpty("") === undefined ? undefined : 1;
  expectTypeOf(defined({ name: "a", size })).toExtend<{ name: string; size?: number }>();
  expect(defined({ name: nonEmpty("a"), size })).toStrictEqual({ name: "a" });
});
