import { expect, test } from "vitest";
import { type Collection, jsonCollection, put, remove } from "./collection.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";
import { Records } from "./records.ts";

type Vm = { readonly n: number };

function newRecords() {
  let decoded = 0;
  const plain = jsonCollection<Vm>("vm");
  const vms: Collection<Vm> = {
    ...plain,
    decode: (bytes) => {
      decoded += 1;
      return plain.decode(bytes);
    },
  };
  const datastore = memoryDatastore();
  return { datastore, vms, records: new Records(datastore), decodedCount: () => decoded };
}

test("a record that is not there is undefined, and a list of none is empty", async () => {
  const { vms, records } = newRecords();
  expect(await records.find(vms, "a")).toBeUndefined();
  expect(await records.list(vms)).toEqual([]);
});

test("a record is decoded once for each revision", async () => {
  const { datastore, vms, records, decodedCount } = newRecords();
  await datastore.batch(put(vms, ["a"], { n: 1 }));
  const first = await records.find(vms, "a");
  expect(await records.find(vms, "a")).toBe(first);
  expect((await records.list(vms))[0]).toBe(first);
  expect(decodedCount()).toBe(1);
  await datastore.batch(put(vms, ["a"], { n: 2 }));
  expect((await records.find(vms, "a"))?.value).toEqual({ n: 2 });
  expect(decodedCount()).toBe(2);
});

test("a record that was deleted and made again is not the old one", async () => {
  const { datastore, vms, records } = newRecords();
  await datastore.batch(put(vms, ["a"], { n: 1 }));
  await records.find(vms, "a");
  await datastore.batch(remove(vms, "a"));
  expect(await records.find(vms, "a")).toBeUndefined();
  const revision = await datastore.batch(put(vms, ["a"], { n: 2 }));
  expect(await records.find(vms, "a")).toEqual({ key: "vm/a", revision, value: { n: 2 } });
});

test("a list is narrowed by the first parts and by the beginning of the last, and pages", async () => {
  const { datastore, vms, records } = newRecords();
  const names = [
    ["a", "1"],
    ["a", "2"],
    ["a", "20"],
    ["ab", "1"],
  ] as const;
  for (const [n, parts] of names.entries()) await datastore.batch(put(vms, parts, { n }));
  const ns = (rows: readonly { readonly value: Vm }[]) => rows.map(({ value }) => value.n);
  expect(ns(await records.list(vms, ["a"]))).toEqual([0, 1, 2]);
  expect(ns(await records.listPrefix(vms, vms.key("a", "2")))).toEqual([1, 2]);
  expect(ns(await records.list(vms, [], { after: vms.key("a", "2"), limit: 1 }))).toEqual([2]);
});

test("a record that cannot be read is named", async () => {
  const { datastore, vms, records } = newRecords();
  await datastore.batch({ puts: [{ key: vms.key("a"), value: new Uint8Array([1, 2]) }] });
  await expect(records.find(vms, "a")).rejects.toThrow("record vm/a cannot be read");
  await expect(records.list(vms)).rejects.toThrow("record vm/a cannot be read");
});
