import { expect, test } from "vitest";
import { maskOf } from "./field-mask.ts";

const FIELDS = ["labels", "limit_bytes", "block_storage_names"] as const;
const nothing = { labels: {}, limitBytes: 0n, blockStorageNames: [] };

function mask(...paths: string[]) {
  return { $typeName: "google.protobuf.FieldMask" as const, paths };
}

test("without a mask what is set is changed", () => {
  expect([...maskOf(nothing, undefined, FIELDS)]).toEqual([]);
  const request = { labels: { a: "b" }, limitBytes: 1n, blockStorageNames: ["disk"] };
  expect([...maskOf(request, undefined, FIELDS)]).toEqual(FIELDS);
});

test("a mask says what is changed, set or not", () => {
  const all = { ...nothing, limitBytes: 7n };
  expect([...maskOf(all, mask("labels"), FIELDS)]).toEqual(["labels"]);
  expect([...maskOf(all, mask(), FIELDS)]).toEqual([]);
});

test("a path that cannot be changed is refused, naming those that can", () => {
  expect(() => maskOf(nothing, mask("labels", "state"), FIELDS)).toThrow(
    '"state" cannot be changed: use labels, limit_bytes, block_storage_names',
  );
});
