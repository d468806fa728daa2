import { describe, expect, test } from "vitest";
import { datastoreSuite } from "../datastore.suite.ts";
import { memoryDatastore } from "../memory/memory-datastore.ts";
import { overlayDatastore } from "./overlay-datastore.ts";

describe("an overlay on an empty datastore", () => {
  datastoreSuite(async () => {
    const datastore = await overlayDatastore(memoryDatastore());
    return { datastore, [Symbol.asyncDispose]: () => datastore[Symbol.asyncDispose]() };
  });
});

const bytes = (text: string) => Buffer.from(text);
const textOf = (entry: { readonly value: Uint8Array } | undefined) =>
  entry && Buffer.from(entry.value).toString();

test("it reads through, keeps its writes for itself, and what it has read stays as it was", async () => {
  const below = memoryDatastore();
  for (const key of ["a/1", "a/2", "a/3", "b/1"])
    await below.batch({ puts: [{ key, value: bytes(key) }] });
  const own = await overlayDatastore(below);
  expect(textOf(await own.get("a/1"))).toBe("a/1");
  await own.batch({ puts: [{ key: "a/4", value: bytes("new") }], deletes: ["a/2"] });
  await below.batch({ puts: [{ key: "a/1", value: bytes("changed") }], deletes: ["a/3"] });
  expect((await own.list("a/")).map(textOf)).toEqual(["a/1", "new"]);
  expect((await own.list("a/", { limit: 1, isDescending: true })).map(textOf)).toEqual(["new"]);
  expect((await below.list("a/")).map(({ key }) => key)).toEqual(["a/1", "a/2"]);
  expect([...own.changed()].map(([key, entry]) => [key, textOf(entry)])).toEqual([
    ["a/2", undefined],
    ["a/4", "new"],
  ]);
  expect(own.reads.get("a/1")).toBe(1);
  const stale = own.batch({ conditions: [{ key: "a/2", revision: 2 }] });
  await expect(stale).rejects.toThrow("a/2");
});
