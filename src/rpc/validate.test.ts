import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { CreateVirtualMachineRequestSchema } from "../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../util/errors.ts";
import { ViolationsError } from "./errors.ts";
import { assertValid } from "./validate.ts";

const NAME_RULE =
  'must be 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit';

function violationsOf(
  init: Parameters<typeof create<typeof CreateVirtualMachineRequestSchema>>[1],
) {
  try {
    assertValid(CreateVirtualMachineRequestSchema, create(CreateVirtualMachineRequestSchema, init));
  } catch (reason) {
    if (reason instanceof ViolationsError) return reason;
    throw reason;
  }
  throw new Error("it was accepted");
}

describe("names", () => {
  test.each(["", "a/b", "..", 'a"b', "a b", "-a", "a\n", "é", "x".repeat(64), "x".repeat(200)])(
    "%j is refused",
    (name) => {
      const error = violationsOf({ name });
      expect(error).toBeInstanceOf(N0Error);
      expect(error.kind).toBe("invalid_argument");
      expect(error.message).toBe(`name: ${NAME_RULE}`);
      expect(error.facts.field).toBe("name");
    },
  );

  test.each(["a", "web-1", "x".repeat(63), "1.2_3"])("%j is accepted", (name) => {
    const message = create(CreateVirtualMachineRequestSchema, { name });
    expect(() => assertValid(CreateVirtualMachineRequestSchema, message)).not.toThrow();
  });
});

test("all violations, each by its path as the client spells it", () => {
  const error = violationsOf({
    name: "a/b",
    nics: [{ networkName: "ok" }, { networkName: "a b" }],
    annotations: { "": "x" },
  });
  expect(error.violations).toEqual([
    { field: "name", description: NAME_RULE },
    { field: 'annotations[""]', description: "the key must not be empty" },
    { field: "nics[1].network_name", description: NAME_RULE },
  ]);
});
