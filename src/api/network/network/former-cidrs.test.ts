import { expect, test } from "vitest";
import { jsonCollection, put } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { addresses } from "../interface/collection.ts";
import { removeFormerCidrs } from "./former-cidrs.ts";

test("the records of CIDRs of a version before go once, and nothing else", async () => {
  const datastore = memoryDatastore();
  const kept = { kind: "network", scope: "default", name: "cidr" };
  await datastore.batch(
    merge(
      put(jsonCollection("cidr"), ["default", "4", "0a000000"], { network: "a" }),
      put(jsonCollection("cidr_allocation"), ["default", "4"], {}),
      put(addresses, [kept, "10.0.0.1"], { usedBy: "one" }),
    ),
  );
  await removeFormerCidrs(datastore);
  expect((await datastore.list("")).map(({ key }) => key)).toEqual([
    addresses.key(kept, "10.0.0.1"),
  ]);
  const revision = await datastore.revision();
  await removeFormerCidrs(datastore);
  expect(await datastore.revision()).toBe(revision);
});
