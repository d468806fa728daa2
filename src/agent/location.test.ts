import { expect, test } from "vitest";
import { parseLocation } from "./location.ts";

test("reads five parts, the last a number; parts may be empty", () => {
  expect(parseLocation("dc/az/cell/rack/12")).toEqual({
    datacenter: "dc",
    availabilityZone: "az",
    cell: "cell",
    rack: "rack",
    unit: 12,
  });
  expect(parseLocation("////0")).toMatchObject({ datacenter: "", rack: "", unit: 0 });
});

test.for([
  "",
  "dc",
  "a/b/c/d",
  "a/b/c/d/",
  "a/b/c/d/x",
  "a/b/c/d/-1",
  "a/b/c/d/1.5",
  "a/b/c/d/4294967296",
  "a/b/c/d/1/2",
])("refuses %j", (text) => {
  expect(() => parseLocation(text)).toThrow(/^location: must be <datacenter>/);
});
