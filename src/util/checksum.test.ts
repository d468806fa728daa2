import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { deviceName, hardwareAddress } from "./checksum.ts";
import { VOLUME_ID } from "./ref.ts";

test("names and addresses are the original's", () => {
  expect(hardwareAddress("hogehoge")).toBe("52:54:f5:8c:a4:f2");
  expect(deviceName("net")).toBe("net-15ff");
  expect(deviceName("test-network")).toBe("test-netwo-c599");
});

test("a device name is one that Linux takes, for any name of ours", () => {
  fc.assert(
    fc.property(fc.stringMatching(VOLUME_ID), (name) => {
      expect(deviceName(name)).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}$/);
      expect(deviceName(name)).toBe(deviceName(name));
    }),
  );
});

test("a hardware address is a unicast one, whatever it is made for", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (id) => {
      expect(hardwareAddress(id)).toMatch(/^52:54(:[0-9a-f]{2}){4}$/);
    }),
  );
});
