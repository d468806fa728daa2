import { expect, test } from "vitest";
import { fc } from "../../../../test/properties.ts";
import { SEED } from "../../../../test/seeds.ts";
import { newDice } from "../../../../test/sim/dice.ts";
import { jsonCollection, put, remove } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { lateDelivery } from "../../../datastore/late-delivery.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { systemClock } from "../../../util/clock.ts";
import { Mirror } from "./mirror.ts";

const counts = jsonCollection<{ readonly count: number }>("count");

test("a mirror holds what the datastore holds, whatever is written before and after it opens", async () => {
  const write = fc.record({
    name: fc.constantFrom("a", "b", "c/d"),
    count: fc.option(fc.nat(9), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(write), fc.array(write), async (before, after) => {
      const late = { clock: systemClock, random: newDice(SEED), delayMsMax: 1 };
      await using datastore = await lateDelivery(memoryDatastore(), late);
      const apply = async (batch: typeof before) => {
        for (const { name, count } of batch) {
          const writes =
            count === undefined ? remove(counts, name) : put(counts, [name], { count });
          await datastore.batch(writes);
        }
      };
      await apply(before);
      let sum = 0;
      using mirror = await Mirror.open(datastore, counts, (_key, was, is) => {
        sum += (is?.value.count ?? 0) - (was?.value.count ?? 0);
      });
      await apply(after);
      await mirror.seen(await datastore.revision());
      const stored = await datastore.list(counts.prefix);
      expect([...mirror.values()].map(({ key, revision }) => `${key}@${revision}`).sort()).toEqual(
        stored.map(({ key, revision }) => `${key}@${revision}`).sort(),
      );
      const total = stored.reduce((all, { value }) => all + counts.decode(value).count, 0);
      expect(sum).toBe(total);
    }),
  );
});

test("a change that falls between listing and watching is not missed", async () => {
  await using datastore = memoryDatastore();
  await datastore.batch(put(counts, ["a"], { count: 1 }));
  const late = {
    ...datastore,
    snapshot: async (prefix: string) => {
      const listed = await datastore.snapshot(prefix);
      await datastore.batch(
        merge(put(counts, ["a"], { count: 2 }), put(counts, ["b"], { count: 3 })),
      );
      return listed;
    },
  };
  using mirror = await Mirror.open(late, counts);
  expect(mirror.get("a")?.value.count).toBe(2);
  expect(mirror.get("b")?.value.count).toBe(3);
});

test("a mirror that is disposed of hears nothing more", async () => {
  await using datastore = memoryDatastore();
  const mirror = await Mirror.open(datastore, counts);
  mirror[Symbol.dispose]();
  await datastore.batch(put(counts, ["a"], { count: 1 }));
  expect(mirror.get("a")).toBeUndefined();
});
