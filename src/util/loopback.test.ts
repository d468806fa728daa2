import { expect, test } from "vitest";
import { isLoopback, isReadOnTheWay } from "./loopback.ts";

test.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["::1", true],
  ["[::1]", true],
  ["localhost", true],
  ["0.0.0.0", false],
  ["::", false],
  ["10.0.0.1", false],
  ["::ffff:10.0.0.1", false],
  ["cloud.example", false],
  ["localhost.example", false],
])("%s is loopback: %s", (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

test.each([
  ["http://cloud.example:20180", true],
  ["http://[fd00::1]:20180", true],
  ["https://cloud.example:20180", false],
  ["http://localhost:20180", false],
  ["http://[::1]:20180", false],
])("what is sent to %s can be read on the way: %s", (url, expected) => {
  expect(isReadOnTheWay(url)).toBe(expected);
});
