import { expect, test } from "vitest";
import {
  contentEncodings,
  contentRange,
  hasValidator,
  refusesRanges,
  retryAfterMs,
  strongValidator,
} from "./headers.ts";

const NOW_MS = Date.parse("Wed, 21 Oct 2015 07:28:00 GMT");

test.for([
  ["0", 0],
  ["120", 120_000],
  [" 7 ", 7_000],
  ["Wed, 21 Oct 2015 07:28:30 GMT", 30_000],
  ["Wed, 21 Oct 2015 07:00:00 GMT", 0],
  ["9999999999999999999999", 3_600_000],
  ["Fri, 21 Oct 2033 07:28:00 GMT", 3_600_000],
  ["soon", undefined],
  ["", undefined],
  [undefined, undefined],
] as const)("Retry-After: %s means %s ms", ([text, ms]) => {
  expect(retryAfterMs(text === undefined ? {} : { "retry-after": text }, NOW_MS)).toBe(ms);
});

test.for([
  ["bytes 0-9/10", { first: 0n, last: 9n, totalBytes: 10n }],
  ["bytes 5-9/*", { first: 5n, last: 9n, totalBytes: undefined }],
  ["bytes 5-10/10", undefined],
  ["bytes 9-5/10", undefined],
  ["bytes */10", undefined],
  ["items 0-9/10", undefined],
  ["", undefined],
] as const)("Content-Range: %s", ([text, range]) => {
  expect(contentRange({ "content-range": text })).toEqual(range);
});

const date = "Wed, 21 Oct 2015 07:28:00 GMT";
const old = "Wed, 21 Oct 2015 07:26:00 GMT";
const fresh = "Wed, 21 Oct 2015 07:27:59 GMT";

test.for([
  [{ etag: '"a"' }, '"a"'],
  [{ etag: 'W/"a"' }, undefined],
  [{ etag: "a" }, undefined],
  [{ date, "last-modified": old }, old],
  [{ date, "last-modified": fresh }, undefined],
  [{ "last-modified": old }, undefined],
  [{ etag: 'W/"a"', date, "last-modified": old }, undefined],
  [{ etag: '"a"', date, "last-modified": old }, '"a"'],
  [{}, undefined],
] as const)("the strong validator of %o is %s", ([headers, validator]) => {
  expect(strongValidator(headers)).toBe(validator);
});

test.for([
  [{ etag: '"a"' }, '"a"', true],
  [{ etag: '"b"' }, '"a"', false],
  [{ etag: 'W/"a"' }, '"a"', false],
  [{}, '"a"', false],
  [{ "last-modified": old }, old, true],
  [{}, old, true],
  [{ "last-modified": date }, old, false],
  [{ etag: '"a"' }, old, false],
] as const)("a part with %o is of what had %s: %s", ([headers, validator, isSame]) => {
  expect(hasValidator(headers, validator)).toBe(isSame);
});

test.for([
  [undefined, []],
  ["", []],
  ["identity", []],
  ["aws-chunked", []],
  ["aws-chunked, gzip,", ["gzip"]],
  ["GZIP , Identity,br", ["gzip", "br"]],
  ["foo", ["foo"]],
] as const)("Content-Encoding: %s encodes with %o", ([text, encodings]) => {
  expect(contentEncodings(text === undefined ? {} : { "content-encoding": text })).toEqual(
    encodings,
  );
});

test("ranges are tried unless the server says that it has none", () => {
  expect(refusesRanges({ "accept-ranges": "None" })).toBe(true);
  expect(refusesRanges({ "accept-ranges": "bytes" })).toBe(false);
  expect(refusesRanges({})).toBe(false);
});
