import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SetPasswordRequestSchema } from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import {
  ApplyNetworkRequestSchema,
  NetworkSchema,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { CreateVirtualMachineRequestSchema } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { fingerprintOf } from "./fingerprint.ts";

const applied = (labels: Record<string, string>, annotations: Record<string, string> = {}) =>
  create(ApplyNetworkRequestSchema, { name: "net", labels, annotations });

test("the order of a map's entries does not count, what they say does", () => {
  const one = applied({ a: "1", b: "2", c: "3" }, { x: "1" });
  const other = applied({ c: "3", a: "1", b: "2" }, { x: "1" });
  expect(toBinary(ApplyNetworkRequestSchema, one)).not.toEqual(
    toBinary(ApplyNetworkRequestSchema, other),
  );
  const fingerprint = fingerprintOf(ApplyNetworkRequestSchema, one);
  expect(fingerprintOf(ApplyNetworkRequestSchema, other)).toBe(fingerprint);
  for (const changed of [
    applied({ a: "1", b: "2" }, { x: "1" }),
    applied({ a: "1", b: "3", c: "2" }, { x: "1" }),
    applied({ a: "1", b: "2", c: "3" }, { x: "2" }),
  ]) {
    expect(fingerprintOf(ApplyNetworkRequestSchema, changed)).not.toBe(fingerprint);
  }
});

test("maps within the messages of a map are put in order too, and the message stays as it was", () => {
  const network = (...names: string[]) =>
    create(NetworkSchema, {
      reservedNetworkInterfaces: Object.fromEntries(
        names.map((name) => [
          name,
          { annotations: Object.fromEntries(names.map((key) => [key, name])) },
        ]),
      ),
    });
  const backwards = network("c", "b", "a");
  const bytes = toBinary(NetworkSchema, backwards);
  expect(fingerprintOf(NetworkSchema, backwards)).toBe(
    fingerprintOf(NetworkSchema, network("a", "b", "c")),
  );
  expect(toBinary(NetworkSchema, backwards)).toEqual(bytes);
});

test("the order of a list counts", () => {
  const asked = (...blockStorageNames: string[]) =>
    fingerprintOf(
      CreateVirtualMachineRequestSchema,
      create(CreateVirtualMachineRequestSchema, {
        name: "web",
        blockStorageNames,
        labels: { b: "1", a: "2" },
      }),
    );
  expect(asked("a", "b")).toBe(asked("a", "b"));
  expect(asked("a", "b")).not.toBe(asked("b", "a"));
});

test("two texts are never taken for each other's", () => {
  const all = [
    applied({ "a:1'b": "c" }),
    applied({ a: "1'b:c" }),
    applied({ a: "1", b: "" }),
    applied({ a: "1" }, { b: "" }),
    applied({}, { a: "1" }),
    create(ApplyNetworkRequestSchema, { name: "net", domain: "a" }),
    create(ApplyNetworkRequestSchema, { name: "net", ipv4Cidr: "a" }),
    create(ApplyNetworkRequestSchema, { name: "neta" }),
  ];
  const fingerprints = all.map((request) => fingerprintOf(ApplyNetworkRequestSchema, request));
  expect(new Set(fingerprints).size).toBe(all.length);
});

test("a password is in none", () => {
  const of = (userName: string, newPassword: string) =>
    fingerprintOf(
      SetPasswordRequestSchema,
      create(SetPasswordRequestSchema, { userName, newPassword, oldPassword: newPassword }),
    );
  expect(of("ann", "one password")).toBe(of("ann", "another one"));
  expect(of("ann", "one password")).not.toBe(of("bob", "one password"));
});
