import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { VirtualMachineSchema } from "../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { protoCollection } from "./collection.ts";
import { LockTable } from "./lock-table.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";
import { Records } from "./records.ts";
import { references, referrersOf, referTo, unreferenced } from "./references.ts";

const vms = protoCollection("virtual_machine", VirtualMachineSchema, {
  references: { user: ({ userNames }) => userNames },
});
const user = (name: string, scope = "default") => ({ kind: "user", scope, name });
const vmOf = (userNames: readonly string[]) =>
  create(VirtualMachineSchema, { name: "web", userNames: [...userNames] });

test("whatever is written, the references of an object are those that it makes", async () => {
  const names = fc.uniqueArray(fc.constantFrom("ann", "bob", "cid"));
  const states = fc.array(fc.option(names, { nil: undefined }));
  await fc.assert(
    fc.asyncProperty(states, async (all) => {
      await using datastore = memoryDatastore();
      const ref = { kind: "virtual_machine", scope: "acme", name: "web" };
      await using held = await new LockTable()
        .of("one")
        .acquire([vms.key(ref)], { action: "UpdateVirtualMachine" });
      let before: ReturnType<typeof vmOf> | undefined;
      for (const userNames of all) {
        const after = userNames === undefined ? undefined : vmOf(userNames);
        if (after !== undefined) await datastore.batch(held.put(vms, ref, after, before));
        else if (before !== undefined) await datastore.batch(held.remove(vms, ref, before));
        before = after;
        const records = new Records(datastore);
        expect(await records.list(references)).toHaveLength(userNames?.length ?? 0);
        for (const name of userNames ?? []) {
          expect(await referrersOf(records, user(name, "acme"))).toEqual([ref]);
          expect(await referrersOf(records, user(name))).toEqual([]);
        }
      }
    }),
  );
});

test("of one who comes to refer and one who deletes only one succeeds", async () => {
  await using datastore = memoryDatastore();
  const records = new Records(datastore);
  const users = protoCollection("user", VirtualMachineSchema);
  const key = users.key(user("ann"));
  const put = { puts: [{ key, value: users.encode(vmOf([])) }] };
  const revision = await datastore.batch(put);
  for (const _ of [1, 2]) {
    const nobodyRefers = await unreferenced(records, user("ann"));
    await datastore.batch(referTo(key, revision));
    await expect(datastore.batch({ ...nobodyRefers, deletes: [key] })).rejects.toThrow("changed");
  }
  await datastore.batch({ ...(await unreferenced(records, user("ann"))), deletes: [key] });
  await expect(datastore.batch(referTo(key, revision))).rejects.toThrow("changed");
});
