import process from "node:process";
import { expect, test } from "vitest";
import type { DatastoreWorld } from "./datastore.suite.ts";
import { type Change, caughtUp, merge, type Writes } from "./datastore.ts";

const encoder = new TextEncoder();
const bytes = (text: string) => encoder.encode(text);
const put = (key: string, value = key): Writes => ({ puts: [{ key, value: bytes(value) }] });
const absent = (key: string): Writes => ({ conditions: [{ key, revision: 0 }] });

/** What every Datastore promises to those who watch it. */
export function watchSuite(newWorld: () => Promise<DatastoreWorld>): void {
  test("a snapshot has the records under its prefix, and the revision of the last batch", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const first = await datastore.batch(put("s/1"));
    const last = await datastore.batch(put("t/1"));
    const { entries, revision } = await datastore.snapshot("s/");
    expect(entries.map(({ key, revision }) => [key, revision])).toEqual([["s/1", first]]);
    expect(revision).toBe(last);
    expect(await datastore.revision()).toBe(last);
  });

  test("a watcher sees each later batch under its prefix once, whole and in order", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const before = await datastore.batch(put("w/before"));
    const seen: [number, string[]][] = [];
    datastore.watch("w/", before, (changes, revision) =>
      seen.push([revision, changes.map(describeChange)]),
    );
    const first = await datastore.batch({
      puts: [
        { key: "w/a", value: bytes("1") },
        { key: "x/a", value: bytes("2") },
        { key: "w/b", value: bytes("3") },
      ],
      deletes: ["w/before", "w/never"],
    });
    await datastore.batch(put("x/b"));
    await datastore.batch({ ...put("w/a"), ...absent("w/a") }).catch(() => undefined);
    const second = await datastore.batch(put("w/a", "4"));
    await datastore.seen(second);
    expect(seen).toEqual([
      [first, ["delete w/before", "put w/a 1", "put w/b 3"]],
      [second, ["put w/a 4"]],
    ]);
  });

  test("a snapshot and the changes since then are complete, whatever is written between the two", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const keys = new Set<string>();
    const writers = Array.from({ length: 60 }, (_, i) => datastore.batch(put(`g/${i}`)));
    await writers[9];
    const { entries, revision } = await datastore.snapshot("g/");
    for (const { key } of entries) keys.add(key);
    await writers[29];
    datastore.watch("g/", revision, (changes) => {
      for (const change of changes) {
        if (change.kind !== "put") continue;
        expect(keys.has(change.entry.key)).toBe(false);
        keys.add(change.entry.key);
      }
    });
    await Promise.all(writers);
    await caughtUp(datastore);
    expect(keys.size).toBe(60);
  });

  test("who has seen a revision was told of every batch up to it", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    let told = 0;
    datastore.watch("", await datastore.revision(), (_, revision) => {
      told = revision;
    });
    const writers = Array.from({ length: 20 }, async (_, i) => {
      const revision = await datastore.batch(put(`${i}`));
      await datastore.seen(revision);
      expect(told).toBeGreaterThanOrEqual(revision);
      // Also of one that changed nothing.
      await datastore.seen(await datastore.batch({}));
    });
    await Promise.all(writers);
  });

  test("all watchers are told of a batch before any is told of the next, the first to watch first", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const from = await datastore.revision();
    const told: [string, number][] = [];
    for (const name of ["one", "two"]) {
      datastore.watch(name, from, (_, revision) => void told.push([name, revision]));
    }
    const both: Writes = merge(put("two"), put("one"));
    const revisions = await Promise.all([1, 2, 3].map(() => datastore.batch(both)));
    await datastore.seen(revisions.at(-1)!);
    expect(told).toEqual(
      revisions.flatMap((revision) => [
        ["one", revision],
        ["two", revision],
      ]),
    );
  });

  test("a watcher that has ended is told no more, and one that begins is told of later batches only", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const told: string[] = [];
    const stopFirst = datastore.watch("", await datastore.revision(), (_, revision) => {
      told.push("first");
      stopSecond();
      stopFirst();
      datastore.watch("", revision, () => void told.push("third"));
    });
    const stopSecond = datastore.watch(
      "",
      await datastore.revision(),
      () => void told.push("second"),
    );
    await datastore.seen(await datastore.batch(put("a")));
    expect(told).toEqual(["first"]);
    await datastore.seen(await datastore.batch(put("a")));
    expect(told).toEqual(["first", "third"]);
    stopFirst();
  });

  test("a watcher that throws fails neither the batch nor the other watchers, and is not hidden", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const uncaught = uncaughtError();
    const told: number[] = [];
    datastore.watch("", await datastore.revision(), () => {
      throw new Error("a bug in a watcher");
    });
    datastore.watch("", await datastore.revision(), (_, revision) => void told.push(revision));
    const revision = await datastore.batch(put("a"));
    await datastore.seen(revision);
    expect(told).toEqual([revision]);
    expect(await uncaught).toMatchObject({ message: "a bug in a watcher" });
  });

  test("who wants to be told of what is long forgotten is sent away", async () => {
    await using world = await newWorld();
    const { datastore } = world;
    const first = await datastore.batch(put("a"));
    const writers = Array.from({ length: 3_000 }, () => datastore.batch(put("a")));
    await Promise.all(writers);
    await caughtUp(datastore);
    expect(() => datastore.watch("", first, () => {})).toThrow(/no longer known/);
    datastore.watch("", await datastore.revision(), () => {});
  });
}

function describeChange(change: Change): string {
  return change.kind === "delete"
    ? `delete ${change.key}`
    : `put ${change.entry.key} ${Buffer.from(change.entry.value).toString()}`;
}

/** The next error that nobody catches, in place of the runner's own handling of it. */
async function uncaughtError(): Promise<unknown> {
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  try {
    return await new Promise((resolve) => process.once("uncaughtException", resolve));
  } finally {
    for (const other of others) process.on("uncaughtException", other);
  }
}
