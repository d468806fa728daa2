import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { fc } from "../../../../test/properties.ts";
import { networkRef } from "../../../../test/refs.ts";
import { put } from "../../../datastore/collection.ts";
import { ConflictError } from "../../../datastore/datastore.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { Records } from "../../../datastore/records.ts";
import { NetworkSchema } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { overlaps, parseCidr } from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import { cidrAllocation, networks, occupiedCidrs } from "./collection.ts";
import { deriveOccupied, occupy, vacate } from "./occupied.ts";
import type { NetworkCidrs } from "./record.ts";

/** Blocks of a small range, so that most of them overlap some others. */
const cidrs = fc
  .record({ base: fc.integer({ min: 0, max: 31 }), length: fc.integer({ min: 23, max: 28 }) })
  .map(({ base, length }) => parseCidr(`10.0.${base >> 3}.${(base & 7) << 5}/${length}`, 4)!);
const step = fc.record({
  network: fc.constantFrom("a", "b", "c", "d", "e"),
  ipv4: fc.option(cidrs, { nil: undefined }),
});

async function newParts() {
  const datastore = memoryDatastore();
  const records = new Records(datastore);
  const stored = async () =>
    (await records.list(occupiedCidrs)).map(({ value }) => ({
      ...value,
      block: parseCidr(value.cidr, 4)!,
    }));
  return { datastore, records, stored };
}

test("whatever is done at the same time, no two networks overlap, and a refusal names one that does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { maxLength: 12 }), async (s, steps) => {
      const { datastore, records, stored } = await newParts();
      const scheduled = {
        find: s.scheduleFunction(records.find.bind(records)) as Records["find"],
        list: s.scheduleFunction(records.list.bind(records)) as Records["list"],
      };
      const batch = s.scheduleFunction(datastore.batch);
      const byNetwork = Map.groupBy(steps, ({ network }) => network);
      // The lock of a network lets one change of it be made at a time.
      const changes = [...byNetwork].map(async ([network, own]) => {
        let has: NetworkCidrs = {};
        for (const { ipv4 } of own) {
          const wanted = ipv4 === undefined ? {} : { ipv4 };
          for (;;) {
            try {
              const writes =
                ipv4 === undefined
                  ? vacate(networkRef(network), has)
                  : await occupy({ records: scheduled }, networkRef(network), wanted);
              await batch(writes);
              has = wanted;
              break;
            } catch (reason) {
              if (reason instanceof ConflictError) continue;
              expect(reason).toBeInstanceOf(N0Error);
              expect(reason).toMatchObject({ kind: "invalid_argument" });
              break;
            }
          }
          const all = await stored();
          for (const one of all) {
            for (const other of all) {
              if (one.network === other.network) continue;
              expect(overlaps(one.block, other.block), `${one.cidr} ${other.cidr}`).toBe(false);
            }
          }
          const mine = all.filter((one) => one.network === network).map(({ block }) => block);
          expect(mine).toEqual(Object.values(has));
        }
      });
      await s.waitFor(Promise.all(changes));
    }),
    { numRuns: 300 },
  );
});

test("networks of two scopes may overlap", async () => {
  const { datastore, records, stored } = await newParts();
  const cidrs = { ipv4: parseCidr("10.0.0.0/24", 4)! };
  const [one, other] = [networkRef("one"), { ...networkRef("one"), scope: "acme" }];
  await datastore.batch(await occupy({ records }, one, cidrs));
  await datastore.batch(await occupy({ records }, other, cidrs));
  expect(await stored()).toHaveLength(2);
  await datastore.batch(vacate(other, cidrs));
  await expect(occupy({ records }, networkRef("two"), cidrs)).rejects.toThrow('network "one"');
  await datastore.batch(await occupy({ records }, other, cidrs));
});

test("networks that are no neighbours do not contend", async () => {
  const { datastore, records } = await newParts();
  const at = (text: string): NetworkCidrs => ({ ipv4: parseCidr(text, 4)! });
  for (const [name, text] of [
    ["low", "10.0.0.0/24"],
    ["high", "10.0.128.0/24"],
  ] as const) {
    await datastore.batch(await occupy({ records }, networkRef(name), at(text)));
  }
  const [one, two, near] = [
    await occupy({ records }, networkRef("one"), at("10.0.7.0/24")),
    await occupy({ records }, networkRef("two"), at("10.0.200.0/24")),
    await occupy({ records }, networkRef("near"), at("10.0.9.0/24")),
  ];
  await datastore.batch(one);
  await datastore.batch(two);
  await expect(datastore.batch(near)).rejects.toThrow(ConflictError);
  await datastore.batch(await occupy({ records }, networkRef("near"), at("10.0.9.0/24")));
});

test("for networks of a version before, which had no such records, they are made once", async () => {
  const { datastore, records, stored } = await newParts();
  const network = create(NetworkSchema, {
    name: "old",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00::/64",
  });
  await datastore.batch(put(networks, [networkRef("old")], network));
  await datastore.batch(put(cidrAllocation, ["all"], {}));
  await deriveOccupied(datastore);
  const found = (await records.list(occupiedCidrs)).map(({ key, value }) => [key, value.cidr]);
  expect(found).toEqual([
    ["cidr/default/4/0a000000", "10.0.0.0/24"],
    ["cidr/default/6/fd000000000000000000000000000000", "fd00::/64"],
  ]);
  const overlapping = { ipv4: parseCidr("10.0.0.128/25", 4)! };
  await expect(occupy({ records }, networkRef("new"), overlapping)).rejects.toThrow(
    '10.0.0.128/25 overlaps 10.0.0.0/24 of network "old"',
  );
  const revision = await datastore.revision();
  await deriveOccupied(datastore);
  expect(await datastore.revision()).toBe(revision);
  await datastore.batch(vacate(networkRef("old"), { ipv4: parseCidr("10.0.0.0/24", 4)! }));
  expect((await stored()).map(({ cidr }) => cidr)).toEqual(["fd00::/64"]);
});
