import { expect, test } from "vitest";
import { proxyFor } from "./web-proxies.ts";

const http = new URL("http://proxy.example:3128");
const https = new URL("https://proxy.example:3129");

test("each scheme has a proxy of its own", () => {
  expect(proxyFor(new URL("http://a.example/"), { http, https, exceptions: [] })).toBe(http);
  expect(proxyFor(new URL("https://a.example/"), { http, https, exceptions: [] })).toBe(https);
  expect(proxyFor(new URL("https://a.example/"), { http, exceptions: [] })).toBeUndefined();
});

test.for<[exception: string, url: string, isDirect: boolean]>([
  ["*", "http://a.example/", true],
  ["a.example", "http://a.example/", true],
  ["a.example", "http://A.Example./", true],
  ["a.example", "http://b.a.example/", true],
  ["a.example", "http://ba.example/", false],
  [".a.example", "http://b.a.example/", true],
  [".a.example", "http://a.example/", true],
  ["*.a.example", "http://b.a.example/", true],
  ["A.EXAMPLE", "http://a.example/", true],
  ["a.example:8080", "http://a.example:8080/", true],
  ["a.example:8080", "http://a.example/", false],
  ["a.example:80", "http://a.example/", true],
  ["a.example:443", "https://a.example/", true],
  ["10.0.0.1", "http://10.0.0.1:8000/", true],
  ["10.0.0.1", "http://110.0.0.1/", false],
  ["0.0.1", "http://10.0.0.1/", false],
  ["10.0.0.0/8", "http://10.9.8.7/", true],
  ["10.0.0.0/8", "http://11.0.0.1/", false],
  ["10.0.0.0/8", "http://a.example/", false],
  ["127.0.0.1:8000", "http://127.0.0.1:8000/", true],
  ["127.0.0.1:8000", "http://127.0.0.1:8001/", false],
  ["::1", "http://[::1]:8000/", true],
  ["[::1]", "http://[::1]:8000/", true],
  ["[::1]:8000", "http://[::1]:8000/", true],
  ["[::1]:8000", "http://[::1]/", false],
  ["2001:db8::/32", "http://[2001:db8:1::5]/", true],
  ["2001:db8::/32", "http://[2001:db9::5]/", false],
  [".", "http://a.example/", false],
])("NO_PROXY=%s: %s is asked directly: %s", ([exception, url, isDirect]) => {
  const found = proxyFor(new URL(url), { http, https, exceptions: ["other.example", exception] });
  expect(found === undefined).toBe(isDirect);
});
