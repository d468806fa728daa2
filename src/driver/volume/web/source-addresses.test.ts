import { expect, test } from "vitest";
import { kindOf } from "../../../util/errors.ts";
import { LOCAL_SOURCES, newSourceAddresses } from "./source-addresses.ts";

/** The node has these, on a link that is up and on one that is not. */
const own = async () => ["10.1.2.3", "192.168.7.1", "2001:db8::7", "fd00::1"];

test.each([
  ["0.0.0.0", "a special address, of 0.0.0.0/8"],
  ["127.0.0.1", "a special address, of 127.0.0.0/8"],
  ["127.9.9.9", "a special address, of 127.0.0.0/8"],
  ["169.254.169.254", "a special address, of 169.254.0.0/16"],
  ["224.0.0.1", "a special address, of 224.0.0.0/4"],
  ["255.255.255.255", "a special address, of 240.0.0.0/4"],
  ["168.63.129.16", "a special address, of 168.63.129.16/32"],
  ["100.100.100.200", "a special address, of 100.100.100.200/32"],
  ["::", "a special address, of ::/8"],
  ["::1", "a special address, of ::/8"],
  ["::127.0.0.1", "a special address, of ::/8"],
  ["::a9fe:a9fe", "a special address, of ::/8"],
  ["::ffff:127.0.0.1", "a special address, of ::/8"],
  ["::ffff:10.9.9.9", "a special address, of ::/8"],
  ["::ffff:0:7f00:1", "a special address, of ::/8"],
  ["64:ff9b::7f00:1", "a special address, of ::/8"],
  ["64:ff9b:1::a9fe:a9fe", "a special address, of ::/8"],
  ["2001:0:a00:1::1", "a special address, of 2001::/23"],
  ["2002:7f00:1::", "a special address, of 2002::/16"],
  ["fe80::1", "a special address, of fe80::/10"],
  ["fe80::1%eth0", "a special address, of fe80::/10"],
  ["febf::1", "a special address, of fe80::/10"],
  ["ff02::1", "a special address, of ff00::/8"],
  ["fd00:ec2::254", "a special address, of fd00:ec2::/32"],
  ["fd20:ce::254", "a special address, of fd20:ce::254/128"],
  ["10.1.2.3", "an address of the node"],
  ["192.168.7.1", "an address of the node"],
  ["2001:db8:0:0::7", "an address of the node"],
  ["FD00::1", "an address of the node"],
  ["localhost", "not an IP address"],
])("nothing comes from %s: %s", async (address, why) => {
  expect(await newSourceAddresses([], own).whyClosed(address)).toBe(why);
});

test.each(["10.1.2.4", "192.168.7.2", "172.16.0.1", "100.64.0.1", "8.8.8.8"])(
  "%s is open, private networks too",
  async (address) => {
    expect(await newSourceAddresses([], own).whyClosed(address)).toBeUndefined();
  },
);

test.each(["2001:db8::8", "2a00::1", "fd00::2", "fec0::1"])("%s is open", async (address) => {
  expect(await newSourceAddresses([], own).whyClosed(address)).toBeUndefined();
});

test("what is allowed is open, and no more than that", async () => {
  const sources = newSourceAddresses(["10.1.2.3", "169.254.0.0/16", "fd00::/64"], own);
  for (const address of ["10.1.2.3", "169.254.169.254", "fd00::1"]) {
    expect(await sources.whyClosed(address)).toBeUndefined();
  }
  for (const address of ["192.168.7.1", "127.0.0.1", "::ffff:10.1.2.3", "2001:db8::7"]) {
    expect(await sources.whyClosed(address)).toBeDefined();
  }
  const local = newSourceAddresses(LOCAL_SOURCES, own);
  for (const address of ["127.0.0.1", "169.254.169.254", "::1", "fe80::1%2"]) {
    expect(await local.whyClosed(address)).toBeUndefined();
  }
  expect(await local.whyClosed("10.1.2.3")).toBeDefined();
  expect(kindOf(attempt(() => newSourceAddresses(["10.0.0.0/33"])))).toBe("invalid_argument");
});

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
