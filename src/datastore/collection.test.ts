import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { jsonCollection, put, putNew, remove, unchanged } from "./collection.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";
import { Records } from "./records.ts";

const vms = jsonCollection<{ n: number }>("vm");
const names = fc.string({ unit: "grapheme", maxLength: 20 });
const parts = fc
  .tuple(names, fc.array(names, { maxLength: 2 }))
  .map(([a, b]) => [a, ...b] as const);

test.for([
  "../user/root",
  "a/b",
  "/",
  "..",
  "",
  "%",
  "%2F",
  "a%2fb",
  "a\0b",
  "a\nb",
  "vm/",
  " ",
  "ü/😀",
  "\x7f",
  "~",
  "__proto__",
])("the name %j stays in its place", (name) => {
  const key = vms.key(name, "x");
  expect(key.startsWith("vm/")).toBe(true);
  expect(key.split("/")).toHaveLength(3);
  expect(key).toMatch(/^[ -~]*$/);
  expect(vms.parts(key)).toEqual([name, "x"]);
});

test("two names never have the same key, and parts come back as they were", () => {
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      expect(vms.parts(vms.key(...a))).toEqual(a);
      const isSame = JSON.stringify(a) === JSON.stringify(b);
      expect(vms.key(...a) === vms.key(...b)).toBe(isSame);
    }),
  );
});

test("what is under some parts is exactly what begins with these parts", () => {
  fc.assert(
    fc.property(parts, parts, (above, key) => {
      const isUnder = key.length > above.length && above.every((part, i) => part === key[i]);
      expect(vms.key(...key).startsWith(vms.under(...above))).toBe(isUnder);
    }),
  );
});

test("the key of what belongs to an object begins with that object, and with no other kind and no text", () => {
  const nics = jsonCollection<{ n: number }>("nic", { of: "vm" });
  const web = { kind: "vm", scope: "acme", name: "web" };
  expect(nics.key(web, "eth0")).toBe("nic/acme/web/eth0");
  expect(() => nics.key({ ...web, kind: "disk" }, "eth0")).toThrow(
    "begins with a vm, not with disk/acme/web",
  );
  // @ts-expect-error A text names no scope.
  expect(() => nics.key("web", "eth0")).toThrow('begins with a vm, not with the text "web"');
});

test("a text that is no Unicode is refused, since it would meet others", () => {
  expect(() => vms.key("\ud800")).toThrow(URIError);
});

test("records of one collection are not listed in another whose name begins alike", async () => {
  const datastore = memoryDatastore();
  const others = jsonCollection<{ n: number }>("vm_spec");
  await datastore.batch(put(vms, ["a"], { n: 1 }));
  await datastore.batch(put(others, ["a"], { n: 2 }));
  const records = new Records(datastore);
  expect((await records.list(vms)).map(({ value }) => value)).toEqual([{ n: 1 }]);
  expect((await records.list(others)).map(({ value }) => value)).toEqual([{ n: 2 }]);
});

test("putNew makes one of a name, unchanged guards it, and remove frees the name", async () => {
  const datastore = memoryDatastore();
  const revision = await datastore.batch(putNew(vms, ["a"], { n: 1 }));
  await expect(datastore.batch(putNew(vms, ["a"], { n: 2 }))).rejects.toThrow("vm/a has changed");
  await datastore.batch(unchanged(vms, ["a"], revision));
  await expect(datastore.batch(unchanged(vms, ["a"], revision + 1))).rejects.toThrow();
  await datastore.batch(remove(vms, "a"));
  await datastore.batch(putNew(vms, ["a"], { n: 3 }));
});
