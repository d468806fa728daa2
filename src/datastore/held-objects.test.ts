import { expect, test } from "vitest";
import { jsonCollection } from "./collection.ts";
import { LockTable } from "./lock-table.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";

const vms = jsonCollection<{ n: number }>("vm");

test("an object is written through the handle that holds its key, and only while it does", async () => {
  const locks = new LockTable().of("one");
  const datastore = memoryDatastore();
  const held = await locks.acquire([vms.key("web")], { action: "UpdateVirtualMachine" });
  await datastore.batch(held.put(vms, "web", { n: 1 }, undefined));
  expect(() => held.put(vms, "other", { n: 1 }, undefined)).toThrow(
    "vm/other is written without holding",
  );
  expect(() => held.remove(vms, "other", { n: 1 })).toThrow("without holding");
  await datastore.batch(held.remove(vms, "web", { n: 1 }));
  const released = held.release();
  expect(() => held.put(vms, "web", { n: 2 }, undefined)).toThrow("without holding");
  expect(() => held.remove(vms, "web", { n: 1 })).toThrow("without holding");
  await released;
});
