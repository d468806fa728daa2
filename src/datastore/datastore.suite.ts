import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { defined } from "../util/defined.ts";
import { ConflictError, type Datastore, RECORD_BYTES_MAX, type Writes } from "./datastore.ts";
import { watchSuite } from "./watch.suite.ts";

/** A datastore that is empty at first, and that can be opened again with its data. */
export interface DatastoreWorld extends AsyncDisposable {
  readonly datastore: Datastore;
  /** Closes it and opens it again; undefined if its data does not outlive the process. */
  readonly reopen?: () => Promise<Datastore>;
}

const encoder = new TextEncoder();
const bytes = (text: string) => encoder.encode(text);
const put = (key: string, value = key): Writes => ({ puts: [{ key, value: bytes(value) }] });
const absent = (key: string): Writes => ({ conditions: [{ key, revision: 0 }] });

/** The contract of every Datastore. */
export function datastoreSuite(newWorld: () => Promise<DatastoreWorld>): void {
  test("what was put is read, and what was deleted is not", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    expect(await datastore.get("a/1")).toBeUndefined();
    const revision = await datastore.batch(put("a/1", "one"));
    expect(await datastore.get("a/1")).toEqual({
      key: "a/1",
      value: expect.toSatisfy((value: Uint8Array) => textOf(value) === "one"),
      revision,
    });
    await datastore.batch(put("a/1", "two"));
    expect(textOf((await datastore.get("a/1"))?.value)).toBe("two");
    await datastore.batch({ deletes: ["a/1", "a/never"] });
    expect(await datastore.get("a/1")).toBeUndefined();
  });

  test("empty and binary values stay as they are", async () => {
    await using world = await newWorld();
    const binary = Uint8Array.from({ length: 256 }, (_, i) => i);
    await world.datastore.batch({
      puts: [
        { key: "empty", value: new Uint8Array() },
        { key: "binary", value: binary },
      ],
    });
    expect((await world.datastore.get("empty"))?.value).toHaveLength(0);
    expect(Buffer.compare((await world.datastore.get("binary"))!.value, binary)).toBe(0);
  });

  test("a value of a megabyte is kept whole", async () => {
    await using world = await newWorld();
    const value = Buffer.alloc(1 << 20, "0123456789");
    await world.datastore.batch({ puts: [{ key: "large", value, bytesMax: value.length }] });
    expect(value.equals((await world.datastore.get("large"))!.value)).toBe(true);
  });

  test("a record that is too large is refused by name, with all of its batch", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const largest = { key: "a/1", value: Buffer.alloc(RECORD_BYTES_MAX) };
    const revision = await datastore.batch({ puts: [largest] });
    const large = { key: "a/2", value: Buffer.alloc(RECORD_BYTES_MAX + 1) };
    const others = await Promise.allSettled([
      datastore.batch(put("b/1")),
      datastore.batch({ puts: [{ key: "b/2", value: bytes("") }, large], deletes: ["a/1"] }),
      datastore.batch(put("b/3")),
    ]);
    expect(others.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(others[1]).toMatchObject({
      reason: {
        kind: "invalid_argument",
        message: expect.stringMatching(/^the record a\/2 would have 262145 bytes, .* 262144:/),
        facts: { resource: "a/2" },
      },
    });
    expect(await keysOf(datastore, "")).toEqual(["a/1", "b/1", "b/3"]);
    expect((await datastore.get("a/1"))?.revision).toBe(revision);
  });

  test("a record that is too large already may be written, and deleted", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const value = Buffer.alloc(RECORD_BYTES_MAX + 1);
    await datastore.batch({ puts: [{ key: "old", value, bytesMax: value.length }] });
    const changed = Buffer.alloc(RECORD_BYTES_MAX + 100, "x");
    await datastore.batch({ puts: [{ key: "old", value: changed }] });
    expect(changed.equals((await datastore.get("old"))!.value)).toBe(true);
    await datastore.batch({ puts: [{ key: "old", value: bytes("small") }] });
    await expect(datastore.batch({ puts: [{ key: "old", value }] })).rejects.toThrow("the record");
  });

  test("a list is in the order of the keys' bytes", async () => {
    await using world = await newWorld();
    const sorted = [
      "k/",
      "k/%2F",
      "k/-",
      "k/.",
      "k/0",
      "k/10",
      "k/2",
      "k/A",
      "k/Z",
      "k/_",
      "k/a",
      "k/a/b",
      "k/ab",
      "k/~",
    ];
    for (const key of sorted.toReversed()) await world.datastore.batch(put(key));
    expect(await keysOf(world.datastore, "k/")).toEqual(sorted);
  });

  test("a list has what begins with its prefix and nothing else", async () => {
    await using world = await newWorld();
    const keys = ["vm", "vm/", "vm/%", "vm/_", "vm/a", "vm/~", "vm0", "vm_x/a", "vn/a", "VM/a"];
    for (const key of keys) await world.datastore.batch(put(key));
    expect(await keysOf(world.datastore, "vm/")).toEqual(["vm/", "vm/%", "vm/_", "vm/a", "vm/~"]);
    expect(await keysOf(world.datastore, "vm/%")).toEqual(["vm/%"]);
    expect(await keysOf(world.datastore, "vm_")).toEqual(["vm_x/a"]);
    expect(await keysOf(world.datastore, "none/")).toEqual([]);
    expect(await keysOf(world.datastore, "")).toEqual(keys.toSorted());
  });

  test("pages follow each other without a gap, also when the last key of one is deleted", async () => {
    await using world = await newWorld();
    const keys = Array.from({ length: 10 }, (_, i) => `p/${i}`);
    for (const key of ["o/9", ...keys, "q/0"]) await world.datastore.batch(put(key));
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await world.datastore.list(
        "p/",
        after === undefined ? { limit: 3 } : { after, limit: 3 },
      );
      if (page.length === 0) break;
      expect(page.length).toBeLessThanOrEqual(3);
      seen.push(...page.map(({ key }) => key));
      after = seen.at(-1)!;
      await world.datastore.batch({ deletes: [after] });
    }
    expect(seen).toEqual(keys);
  });

  test("pages from the last key to the first have each record once, and no others", async () => {
    await using world = await newWorld();
    const wanted = Array.from({ length: 10 }, (_, i) => `b/${i}`);
    for (const key of ["a/1", ...wanted, "b~", "c/1"]) await world.datastore.batch(put(key));
    const page = async (after?: string) => {
      const asked = { limit: 4, isDescending: true, ...defined({ after }) };
      return (await world.datastore.list("b/", asked)).map(({ key }) => key);
    };
    expect(await page()).toEqual(["b/9", "b/8", "b/7", "b/6"]);
    expect(await page("b/6")).toEqual(["b/5", "b/4", "b/3", "b/2"]);
    expect(await page("b/2")).toEqual(["b/1", "b/0"]);
    expect(await page("b/0")).toEqual([]);
    expect(await page("a/1")).toEqual([]);
    expect(await page("c/1")).toEqual(["b/9", "b/8", "b/7", "b/6"]);
  });

  test("a page after a key before the prefix begins at the prefix, after one behind it there is none", async () => {
    await using world = await newWorld();
    for (const key of ["a/1", "b/1", "b/2", "c/1"]) await world.datastore.batch(put(key));
    const keys = async (after: string) =>
      (await world.datastore.list("b/", { after, limit: 9 })).map(({ key }) => key);
    expect(await keys("a/1")).toEqual(["b/1", "b/2"]);
    expect(await keys("b/1")).toEqual(["b/2"]);
    expect(await keys("c")).toEqual([]);
  });

  test("a batch is written whole, under one revision", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    await datastore.batch(put("old"));
    const revision = await datastore.batch({
      puts: [
        { key: "x", value: bytes("1") },
        { key: "y", value: bytes("2") },
      ],
      deletes: ["old"],
    });
    const entries = await datastore.list("");
    expect(entries.map(({ key, revision }) => [key, revision])).toEqual([
      ["x", revision],
      ["y", revision],
    ]);
  });

  test("a batch of which one condition fails writes nothing, and says which key it was", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const revision = await datastore.batch(put("there"));
    const before = await datastore.list("");
    const failing: readonly (readonly [string, Writes])[] = [
      ["there", absent("there")],
      ["there", { conditions: [{ key: "there", revision: revision + 1 }] }],
      [
        "gone",
        {
          conditions: [
            { key: "there", revision },
            { key: "gone", revision },
          ],
        },
      ],
    ];
    for (const [key, { conditions = [] }] of failing) {
      const writes = { ...put("new"), deletes: ["there"], conditions };
      const reason = await datastore.batch(writes).catch((reason: unknown) => reason);
      expect(reason).toBeInstanceOf(ConflictError);
      expect(reason).toMatchObject({ key });
    }
    expect(await datastore.list("")).toEqual(before);
  });

  test("conditions are those before the batch, not after it", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    await datastore.batch({ ...put("a"), ...absent("a") });
    const { revision } = (await datastore.get("a"))!;
    await datastore.batch({ deletes: ["a"], conditions: [{ key: "a", revision }] });
    await datastore.batch({ ...put("a"), ...absent("a") });
  });

  test("a record made again never has a revision it had before", async () => {
    await using world = await newWorld();
    const first = await world.datastore.batch(put("a"));
    await world.datastore.batch({ deletes: ["a"] });
    await world.datastore.batch(put("a"));
    const stale = { ...put("a", "stale"), conditions: [{ key: "a", revision: first }] };
    await expect(world.datastore.batch(stale)).rejects.toThrow(ConflictError);
  });

  test("revisions grow by each batch, also by one that only deletes or writes nothing", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const revisions: number[] = [];
    for (const writes of [
      put("a"),
      put("a"),
      { deletes: ["a"] },
      { deletes: ["a"] },
      {},
      put("b"),
    ]) {
      revisions.push(await datastore.batch(writes));
    }
    expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b));
    expect(revisions[0]).toBeGreaterThan(0);
  });

  test("of 200 batches at once that ask for the same, exactly one wins, round after round", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    let revision = 0;
    for (let round = 0; round < 5; round += 1) {
      const tries = Array.from({ length: 200 }, (_, i) =>
        datastore.batch({ ...put("one", `${round}-${i}`), conditions: [{ key: "one", revision }] }),
      );
      const results = await Promise.allSettled(tries);
      const won = results.filter((result) => result.status === "fulfilled");
      const lost = results.filter((result) => result.status === "rejected");
      expect(won).toHaveLength(1);
      expect(lost.every(({ reason }) => reason instanceof ConflictError)).toBe(true);
      revision = won[0]!.value;
      expect((await datastore.get("one"))?.revision).toBe(revision);
    }
  });

  test("batches asked for at the same time take effect in their order", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const revisions = await Promise.all(
      Array.from({ length: 300 }, (_, i) => datastore.batch(put("last", `${i}`))),
    );
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(textOf((await datastore.get("last"))?.value)).toBe("299");
  });

  watchSuite(newWorld);

  test("it acts as a sorted map with revisions does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { maxLength: 25 }), async (steps) => {
        await using world = await newWorld();
        let { datastore } = world;
        const model = new Map<string, { value: string; revision: number }>();
        let last = 0;
        for (const step of steps) {
          if (step === "reopen") {
            datastore = (await world.reopen?.()) ?? datastore;
            continue;
          }
          const conditions = step.conditions.map(({ key, holds }) => {
            const revision = model.get(key)?.revision ?? 0;
            return { key, revision: holds ? revision : revision + 1 };
          });
          const puts = step.puts.map(({ key, value }) => ({ key, value: bytes(value) }));
          const deletes = step.deletes.filter((key) => !puts.some((row) => row.key === key));
          const result = await datastore.batch({ puts, deletes, conditions }).catch((reason) => {
            expect(reason).toBeInstanceOf(ConflictError);
            return undefined;
          });
          const isExpected = step.conditions.every(({ holds }) => holds);
          expect(result !== undefined).toBe(isExpected);
          if (result === undefined) continue;
          expect(result).toBeGreaterThan(last);
          last = result;
          for (const key of deletes) model.delete(key);
          for (const { key, value } of step.puts) model.set(key, { value, revision: result });
        }
        const entries = await datastore.list("k/");
        const found = entries.map(({ key, value, revision }) => [key, textOf(value), revision]);
        const expected = [...model].map(([key, { value, revision }]) => [key, value, revision]);
        expect(found).toEqual(expected.toSorted(([a], [b]) => (a! < b! ? -1 : 1)));
      }),
      { numRuns: 60 },
    );
  });
}

const keys = fc.constantFrom("k/", "k/A", "k/a", "k/a/b", "k/ab", "k/b", "k/%2F");
const operations = fc.oneof(
  { weight: 1, arbitrary: fc.constant("reopen" as const) },
  {
    weight: 9,
    arbitrary: fc.record({
      puts: fc.uniqueArray(fc.record({ key: keys, value: fc.string({ maxLength: 5 }) }), {
        maxLength: 3,
        selector: ({ key }) => key,
      }),
      deletes: fc.uniqueArray(keys, { maxLength: 2 }),
      conditions: fc.array(
        fc.record({ key: keys, holds: fc.integer({ min: 0, max: 4 }).map((n) => n > 0) }),
        { maxLength: 2 },
      ),
    }),
  },
);

function textOf(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString();
}

async function keysOf(datastore: Datastore, prefix: string): Promise<string[]> {
  return (await datastore.list(prefix)).map(({ key }) => key);
}
