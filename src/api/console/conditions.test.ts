import { expect, test } from "vitest";
import { isRangeMeant, unmetCondition } from "./conditions.ts";

const etag = '"abc"';

test.each([
  [{}, undefined],
  [{ "if-match": '"abc"' }, undefined],
  [{ "if-match": ' "x", "abc" ' }, undefined],
  [{ "if-match": "*" }, undefined],
  [{ "if-match": 'W/"abc"' }, 412],
  [{ "if-match": '"x"' }, 412],
  [{ "if-match": '"x,\\"abc"' }, 412],
  [{ "if-match": "abc" }, 412],
  [{ "if-match": "" }, 412],
  [{ "if-none-match": '"abc"' }, 304],
  [{ "if-none-match": '"x", W/"abc"' }, 304],
  [{ "if-none-match": "*" }, 304],
  [{ "if-none-match": '"x"' }, undefined],
  [{ "if-match": '"x"', "if-none-match": '"abc"' }, 412],
])("%j of the content that has the tag abc: %s", (headers, expected) => {
  expect(unmetCondition(headers, etag)).toBe(expected);
});

test.each([
  [undefined, true],
  ['"abc"', true],
  [' "abc"', true],
  ['W/"abc"', false],
  ['"x"', false],
  ["Tue, 15 Nov 1994 12:45:26 GMT", false],
  ["", false],
])("a range under the condition %j is meant: %s", (ifRange, expected) => {
  expect(isRangeMeant({ "if-range": ifRange }, etag)).toBe(expected);
});
