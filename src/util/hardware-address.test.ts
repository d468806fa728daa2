import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { hardwareAddress } from "./checksum.ts";
import { parseHardwareAddress } from "./hardware-address.ts";

test.for([
  ["", "is not a MAC address"],
  ["52:54:00:12:34", "is not a MAC address"],
  ["52:54:00:12:34:56:78", "is not a MAC address"],
  ["52-54-00-12-34-56", "is not a MAC address"],
  ["52:54:00:12:34:5g", "is not a MAC address"],
  ["52:54:00:12:34:56\n", "is not a MAC address"],
  ["00:00:00:00:00:00", "is the zero address"],
  ["FF:FF:FF:FF:FF:FF", "is the broadcast address"],
  ["01:00:5e:00:00:01", "is a multicast address"],
  ["33:33:00:00:00:01", "is a multicast address"],
  ["53:54:00:12:34:56", "is a multicast address"],
] as const)("%j %s", ([text, said]) => {
  expect(() => parseHardwareAddress("nics[2].hardware_address", text)).toThrow(
    expect.objectContaining({
      kind: "invalid_argument",
      message: expect.stringMatching(
        new RegExp(`^nics\\[2\\]\\.hardware_address: "[^]*" ${said}[^]*52:54:00:12:34:56$`),
      ),
    }),
  );
});

test("a unicast address is taken in lower case", () => {
  expect(parseHardwareAddress("f", "00:00:00:00:00:01")).toBe("00:00:00:00:00:01");
  expect(parseHardwareAddress("f", "FE:FF:FF:FF:FF:FF")).toBe("fe:ff:ff:ff:ff:ff");
});

test("what is made of a name can be asked for", () => {
  fc.assert(
    fc.property(fc.string(), (id) => {
      const address = hardwareAddress(id);
      expect(parseHardwareAddress("f", address)).toBe(address);
    }),
  );
});
