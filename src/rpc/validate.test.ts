import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { HealthCheckRequestSchema } from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflectionRequestSchema } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { EnsureFetchedVolumeRequestSchema } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { ApplyImageRequestSchema } from "../gen/n0stack/deployment/v0/image_pb.ts";
import {
  CreateVirtualMachineRequestSchema,
  UpdateVirtualMachineRequestSchema,
} from "../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { VerifyRequestSchema } from "../gen/n0stack/verify/v1alpha1/verify_pb.ts";
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
    {
      field: "nics[1].network_name",
      description: `${NAME_RULE}, and may have a project and "/" before`,
    },
  ]);
});

describe("what is too large", () => {
  /** As a client sends it, so that decoding is as it would be. */
  function refusalOf<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
    const message = fromBinary(schema, toBinary(schema, create(schema, init)));
    try {
      assertValid(schema, message);
    } catch (reason) {
      if (reason instanceof ViolationsError) return reason;
      throw reason;
    }
    throw new Error("it was accepted");
  }

  /** The shortest of five, since others want the processor too. */
  function refusalMs<D extends DescMessage>(schema: D, init: MessageInitShape<D>): number {
    const message = create(schema, init);
    const tries = Array.from({ length: 5 }, () => {
      const startMs = performance.now();
      expect(() => assertValid(schema, message)).toThrow(ViolationsError);
      return performance.now() - startMs;
    });
    return Math.min(...tries);
  }

  test("a list is counted, and its elements are not looked at", () => {
    const nodeNames = Array.from({ length: 1 << 17 }, () => "");
    const error = refusalOf(VerifyRequestSchema, { nodeNames });
    expect(error.violations).toEqual([
      { field: "node_names", description: "must have at most 1000 elements" },
    ]);
    expect(refusalMs(VerifyRequestSchema, { nodeNames })).toBeLessThan(50);
  });

  test("a map too, also within the messages of a list", () => {
    const annotations = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""]));
    const nics = [{ networkName: "a" }, { networkName: "b", annotations }];
    const error = refusalOf(CreateVirtualMachineRequestSchema, { name: "a", nics });
    expect(error.message).toBe("nics[1].annotations: must have at most 64 elements");
  });

  test("of many violations 20 are told, and how many more there are", () => {
    const nodeNames = Array.from({ length: 1000 }, () => "");
    const error = refusalOf(VerifyRequestSchema, { nodeNames });
    expect(error.violations).toHaveLength(20);
    expect(error.message).toMatch(/^node_names\[0\]: must be .*; and 980 more$/);
  });

  test("of a key that is too long the beginning is told", () => {
    const annotations = { ["k".repeat(50_000)]: "" };
    const error = refusalOf(CreateVirtualMachineRequestSchema, { name: "a", annotations });
    expect(error.facts.field).toBe(`annotations["${"k".repeat(79)}…"]`);
  });

  test("messages of others have limits too", () => {
    const service = "x".repeat(256);
    const error = refusalOf(HealthCheckRequestSchema, { service });
    expect(error.message).toBe("service: must be at most 255 characters");
    const asked = { case: "fileByFilename", value: "x".repeat(1025) } as const;
    const other = refusalOf(ServerReflectionRequestSchema, { messageRequest: asked });
    expect(other.message).toBe("file_by_filename: must be at most 1024 characters");
    const updateMask = { paths: Array.from({ length: 65 }, () => "labels") };
    const mask = refusalOf(UpdateVirtualMachineRequestSchema, { name: "a", updateMask });
    expect(mask.message).toBe("update_mask.paths: must have at most 64 elements");
  });

  test("a text of megabytes is not looked at", () => {
    const long = "a".repeat(15 << 20);
    const operation = { owner: "block_storage/a" };
    const ask = { operation, volume: { id: "a" }, sourceUrl: long };
    expect(refusalOf(EnsureFetchedVolumeRequestSchema, ask).message).toBe(
      "source_url: must be at most 8192 characters",
    );
    expect(refusalMs(EnsureFetchedVolumeRequestSchema, ask)).toBeLessThan(50);
    const error = refusalOf(CreateVirtualMachineRequestSchema, { name: long });
    expect(error.violations).toContainEqual({
      field: "name",
      description: "must be at most 63 characters",
    });
  });

  test("the texts of a user's object have a limit together, as JSON has them", () => {
    const annotations = { plain: "x".repeat(4096) };
    const labels = Object.fromEntries(
      Array.from({ length: 5 }, (_, i) => [`k${i}`, "\u0000".repeat(4096)]),
    );
    const error = refusalOf(ApplyImageRequestSchema, { name: "a", annotations, labels });
    expect(error.message).toMatch(/^the texts of the request, .* at most 65536 bytes together$/);
    expect(error.facts.field).toBeUndefined();
    delete labels["k4"];
    for (const key of ["k2", "k3"]) delete labels[key];
    const message = create(ApplyImageRequestSchema, { name: "a", annotations, labels });
    expect(() => assertValid(ApplyImageRequestSchema, message)).not.toThrow();
  });
});
