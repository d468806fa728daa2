import { ScalarType } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { VirtualMachine_VirtualMachineStateSchema } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { kindOf } from "../../src/util/errors.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import { fc } from "../../test/properties.ts";
import { scalarFromText } from "./scalar.ts";

const uint32 = { name: "n", scalar: ScalarType.UINT32 };
const uint64 = { name: "n", scalar: ScalarType.UINT64 };
const size = { name: "n_bytes", scalar: ScalarType.UINT64 };
const int64 = { name: "n", scalar: ScalarType.INT64 };
const bool = { name: "b", scalar: ScalarType.BOOL };
const text = { name: "s", scalar: ScalarType.STRING };
const state = { name: "state", enum: VirtualMachine_VirtualMachineStateSchema };

test("text stays as it is", () => {
  fc.assert(fc.property(fc.string(), (s) => scalarFromText(text, s) === s));
});

test("every integer that fits comes through whole, and no other", () => {
  const max = (1n << 64n) - 1n;
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 70n), max: 1n << 70n }), (n) => {
      if (n >= 0n && n <= max) expect(scalarFromText(uint64, String(n))).toBe(String(n));
      else expect(() => scalarFromText(uint64, String(n))).toThrow(/must be a whole number from 0/);
    }),
  );
});

test.each([
  [uint32, "4294967295", "4294967295"],
  [uint64, "0x10", "16"],
  [uint64, "+7", "7"],
  [int64, "-5", "-5"],
  [size, "10GiB", "10737418240"],
  [size, "512", "512"],
  [bool, "true", true],
  [bool, "no", false],
  [state, "RUNNING", "RUNNING"],
  [state, "2", "RUNNING"],
])("%o takes %s", (leaf, written, json) => {
  expect(scalarFromText(leaf, written)).toBe(json);
});

test.each([
  [uint32, "4294967296", /from 0 to 4294967295/],
  [uint32, "1GiB", /must be a whole number, not "1GiB"/],
  [uint64, "1.5", /must be a whole number/],
  [uint64, "", /must be a whole number/],
  [size, "10G", /GiB or GB/],
  [bool, "1", /must be true or false/],
  [state, "running", /must be one of .*RUNNING/],
])("%o refuses %s", (leaf, written, why) => {
  expect(() => scalarFromText(leaf, written)).toThrow(why);
});

test("whatever is refused is refused as an argument", () => {
  fc.assert(
    fc.property(fc.constantFrom(uint32, size, bool, state), fc.string(), (leaf, written) => {
      try {
        scalarFromText(leaf, written);
      } catch (reason) {
        expect(kindOf(reason)).toBe("invalid_argument");
      }
    }),
  );
});

test("a near word is suggested, a far one is not", () => {
  const words = ["name", "labels", "request_bytes"];
  expect(didYouMean("lables", words)).toBe(' (did you mean "labels"?)');
  expect(didYouMean("RequestBytes", words)).toBe(' (did you mean "request_bytes"?)');
  expect(didYouMean("zzzz", words)).toBe("");
});
