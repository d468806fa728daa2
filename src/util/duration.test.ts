import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

test.each([
  ["500ms", 500],
  ["15s", 15_000],
  ["90m", 5_400_000],
  ["36h", 129_600_000],
  ["7d", 604_800_000],
  ["0ms", 0],
])("%s is read, and written in the same way", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
  expect(formatDuration(ms)).toBe(text);
});

test("a fraction is read to the millisecond, and the unit is the largest that fits", () => {
  expect(parseDuration("1.5h")).toBe(5_400_000);
  expect(parseDuration("0.4ms")).toBe(0);
  expect(formatDuration(60_000)).toBe("1m");
});

test.each(["", "s", "15", "-1s", "1 s", "1.s", "1e3s", "1S", "1s\n", "1234567890s"])(
  "%j is no duration",
  (text) => expect(parseDuration(text)).toBeUndefined(),
);
