import { expect, test } from "vitest";
import { linkLocalAddress } from "../../util/link-local.ts";
import { checkIdentity } from "./port-identity.ts";

test("an identity has one form, however it is written", () => {
  const addresses = ["FD00:0:0::0001", "10.0.0.9", "fd00::1", "10.0.0.10"];
  expect(checkIdentity({ hardwareAddress: "52:54:00:AB:CD:EF", addresses })).toEqual({
    hardwareAddress: "52:54:00:ab:cd:ef",
    addresses: ["10.0.0.10", "10.0.0.9", "fd00::1"],
  });
});

test("an identity that is none names the field and the value", () => {
  const hardwareAddress = "52:54:00:ab:cd:ef";
  expect(() => checkIdentity({ hardwareAddress: "ff:ff:ff:ff:ff:ff", addresses: [] })).toThrow(
    'identity.hardware_address: must be the hardware address of one host, such as 52:54:00:12:34:56, got "ff:ff:ff:ff:ff:ff"',
  );
  expect(() => checkIdentity({ hardwareAddress, addresses: ["10.0.0.1", "10.0.0.0/24"] })).toThrow(
    'identity.addresses[1]: must be the IP address of one host, got "10.0.0.0/24"',
  );
});

test.for([
  ["52:54:00:ab:cd:ef", "fe80::5054:ff:feab:cdef"],
  ["00:00:5e:00:01:0a", "fe80::200:5eff:fe00:10a"],
  ["02:00:00:00:00:01", "fe80::ff:fe00:1"],
] as const)("the link-local address of %s is %s", ([hardwareAddress, address]) => {
  expect(linkLocalAddress(hardwareAddress)).toBe(address);
});
