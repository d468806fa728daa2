import { expect, test } from "vitest";
import { baseUrlOf } from "./transport.ts";

test.each([
  ["node1", "http://node1:20181"],
  ["node1:9", "http://node1:9"],
  ["10.0.0.1", "http://10.0.0.1:20181"],
  ["10.0.0.1:80", "http://10.0.0.1:80"],
  ["::1", "http://[::1]:20181"],
  ["[::1]", "http://[::1]:20181"],
  ["[fd00::1]:9", "http://[fd00::1]:9"],
  ["http://node1", "http://node1:20181"],
  ["https://node1:443/", "https://node1:443"],
  ["https://node1", "https://node1:20181"],
  ["grpc://node1:9", "http://node1:9"],
])("%s is %s", (address, url) => {
  expect(baseUrlOf(address, 20181)).toBe(url);
});

test.each(["", "a b", "ftp://x", "http://u:p@x", "http://x/path", "x?y", "x:99999", "http://"])(
  "%j is no address",
  (address) => {
    expect(() => baseUrlOf(address, 20181)).toThrow(/must be host, host:port/);
  },
);
