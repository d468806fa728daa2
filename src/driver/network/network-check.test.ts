import { expect, test } from "vitest";
import { checkEndpoint, checkNetworkName, checkTapName, gatewaysOf } from "./network-check.ts";

test("gateways come out as the kernel prints them", () => {
  expect(gatewaysOf({ name: "a" })).toEqual([]);
  expect(
    gatewaysOf({ name: "a", ipv4Gateway: "10.0.0.254/24", ipv6Gateway: "FD00:0:0::1/64" }),
  ).toEqual(["10.0.0.254/24", "fd00::1/64"]);
});

test("a gateway that is none is refused, naming its field", () => {
  for (const ipv4Gateway of [
    "",
    "10.0.0.1",
    "10.0.0.1/33",
    "10.0.0.1/",
    "fd00::1/64",
    "10.0.0.1/8/8",
  ]) {
    expect(() => gatewaysOf({ name: "a", ipv4Gateway })).toThrow(/^ipv4_gateway: /);
  }
  for (const ipv6Gateway of ["fd00::1", "fd00::1/129", "10.0.0.1/24", "fe80::1%eth0/64"]) {
    expect(() => gatewaysOf({ name: "a", ipv6Gateway })).toThrow(/^ipv6_gateway: /);
  }
});

test("names that could be a path, an option or two words are refused", () => {
  const wrong = ["", "..", "-a", "a/b", "a b", "a\nb", "a;b", "%d", "é"];
  for (const name of wrong) {
    expect(() => checkNetworkName(name)).toThrow(/network/);
    expect(() => checkTapName(name)).toThrow(/tap/);
  }
  checkNetworkName("a".repeat(63));
  expect(() => checkNetworkName("a".repeat(64))).toThrow(/network/);
  checkTapName("a".repeat(15));
  expect(() => checkTapName("a".repeat(16))).toThrow(/tap/);
});

test("an endpoint is an IP address and a port", () => {
  expect(checkEndpoint("10.0.0.1", 22)).toBe(4);
  expect(checkEndpoint("fd00::1", 65535)).toBe(6);
  expect(() => checkEndpoint("localhost", 22)).toThrow(/address/);
  for (const port of [0, 65536, 1.5, Number.NaN]) {
    expect(() => checkEndpoint("10.0.0.1", port)).toThrow(/port/);
  }
});
