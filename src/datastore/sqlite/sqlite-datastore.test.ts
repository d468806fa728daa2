import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { datastoreSuite } from "../datastore.suite.ts";
import type { Writes } from "../datastore.ts";
import { sqliteDatastore } from "./sqlite-datastore.ts";

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "n0-sqlite-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, "in", "n0core.sqlite");
}

function record(key: string, sizeBytes = 10): Writes {
  return { puts: [{ key, value: Buffer.alloc(sizeBytes, key) }] };
}

describe("the SQLite datastore", () => {
  datastoreSuite(async () => {
    const folder = mkdtempSync(join(tmpdir(), "n0-sqlite-"));
    const path = join(folder, "n0core.sqlite");
    let datastore = sqliteDatastore({ path });
    return {
      datastore,
      reopen: async () => {
        await datastore[Symbol.asyncDispose]();
        datastore = sqliteDatastore({ path });
        return datastore;
      },
      [Symbol.asyncDispose]: async () => {
        await datastore[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      },
    };
  });
});

test("records and revisions outlive the process, also a revision whose record is gone", async () => {
  const path = newPath();
  const first = sqliteDatastore({ path });
  await first.batch(record("a"));
  const last = await first.batch({ deletes: ["a"] });
  await first[Symbol.asyncDispose]();

  await using second = sqliteDatastore({ path });
  expect(await second.list("")).toEqual([]);
  expect(await second.batch(record("b"))).toBeGreaterThan(last);
});

test("its files are their owner's alone, also one that an older version left open", async () => {
  const path = newPath();
  const modes = () => readdirSync(dirname(path)).map((name) => modeOf(join(dirname(path), name)));
  const modeOf = (file: string) => statSync(file).mode & 0o777;
  const first = sqliteDatastore({ path });
  await first.batch(record("a"));
  expect(modes()).toEqual([0o600, 0o600]);
  await first[Symbol.asyncDispose]();
  chmodSync(path, 0o644);
  await using second = sqliteDatastore({ path });
  await second.batch(record("b"));
  expect(modes()).toEqual([0o600, 0o600]);
});

test("batches asked for before it is closed are written, later ones refused", async () => {
  const path = newPath();
  const datastore = sqliteDatastore({ path });
  const batches = Array.from({ length: 600 }, (_, i) => datastore.batch(record(`k/${i}`)));
  await datastore[Symbol.asyncDispose]();
  await Promise.all(batches);
  await expect(datastore.batch(record("late"))).rejects.toMatchObject({ kind: "unavailable" });
  await expect(datastore.get("k/1")).rejects.toMatchObject({ kind: "unavailable" });
  await datastore[Symbol.asyncDispose]();

  await using again = sqliteDatastore({ path });
  expect(await again.list("")).toHaveLength(600);
});

test("a file that is open is refused to any other, and free when it is closed", async () => {
  const path = newPath();
  const datastore = sqliteDatastore({ path });
  expect(() => sqliteDatastore({ path })).toThrow(
    expect.objectContaining({ kind: "failed_precondition" }),
  );
  await datastore.batch(record("still works"));
  await datastore[Symbol.asyncDispose]();
  await sqliteDatastore({ path })[Symbol.asyncDispose]();
});

test("a file of a newer version is refused and left as it is", () => {
  const path = join(newPath(), "..", "..", "newer.sqlite");
  const database = new Database(path);
  database.pragma("user_version = 99");
  database.close();
  expect(() => sqliteDatastore({ path })).toThrow(
    expect.objectContaining({
      kind: "failed_precondition",
      message: expect.stringContaining(`${path} (schema 99; this version knows `),
    }),
  );
  const after = new Database(path);
  expect(after.pragma("user_version", { simple: true })).toBe(99);
  after.close();
});

test("a file of the first version is taken over with its records and revisions", async () => {
  const path = join(newPath(), "..", "..", "older.sqlite");
  const database = new Database(path);
  database.exec(`
    CREATE TABLE record (
      key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counter (name, value) VALUES ('revision', 9000000000000000);
    INSERT INTO record (key, value, revision) VALUES ('b', x'02', 8), ('a', x'01', 7);
    PRAGMA user_version = 1;`);
  database.close();

  await using datastore = sqliteDatastore({ path });
  expect(await datastore.list("")).toEqual([
    { key: "a", value: Buffer.from([1]), revision: 7 },
    { key: "b", value: Buffer.from([2]), revision: 8 },
  ]);
  await datastore.batch({ conditions: [{ key: "a", revision: 7 }], ...record("a") });
  expect(await datastore.batch({ deletes: ["b"] })).toBeGreaterThan(9_000_000_000_000_000);
  expect((await datastore.list("")).map(({ key }) => key)).toEqual(["a"]);
});

test("batches that come together share one durable commit", async () => {
  await using datastore = sqliteDatastore({ path: newPath() });
  const alone = await batchesPerSecond(datastore, 1, 300);
  const together = await batchesPerSecond(datastore, 64, 3_000);
  console.info(`batches/s: ${alone} with 1 in flight, ${together} with 64`);
  expect(together).toBeGreaterThan(alone);
});

test("a batch that cannot be written does not fail those it shares a commit with", async () => {
  await using datastore = sqliteDatastore({ path: newPath() });
  const seen: string[] = [];
  datastore.watch("", await datastore.revision(), (changes) => {
    for (const change of changes) if (change.kind === "put") seen.push(change.entry.key);
  });
  const results = await Promise.allSettled([
    datastore.batch(record("a")),
    datastore.batch({ puts: [{ key: "whole/1", value: Buffer.alloc(1) }, impossible] }),
    datastore.batch({ ...record("a"), conditions: [{ key: "a", revision: 0 }] }),
    datastore.batch(record("b")),
  ]);
  expect(results).toMatchObject([
    { status: "fulfilled" },
    // Not passing: to try it again would be in vain.
    { status: "rejected", reason: { kind: "internal" } },
    { status: "rejected", reason: { name: "ConflictError" } },
    { status: "fulfilled" },
  ]);
  expect((await datastore.list("")).map(({ key }) => key)).toEqual(["a", "b"]);
  expect(seen).toEqual(["a", "b"]);
});

test("a writer that is killed in the middle loses nothing that it was told is written", async () => {
  const path = newPath();
  for (let round = 1; round <= 3; round += 1) {
    const acknowledged = await killWriterAfter(path, 400 * round);
    await using datastore = sqliteDatastore({ path });
    const left = await datastore.list("left/");
    const right = await datastore.list("right/");
    const numbersOf = (entries: typeof left) => entries.map(({ key }) => Number(key.split("/")[1]));
    expect(numbersOf(left)).toEqual(numbersOf(right));
    const there = new Set(numbersOf(left));
    expect(acknowledged.filter((number) => !there.has(number))).toEqual([]);
    for (const [i, entry] of left.entries()) expect(entry.revision).toBe(right[i]!.revision);
    const highest = Math.max(...left.map(({ revision }) => revision));
    expect(await datastore.batch({ deletes: [] })).toBeGreaterThan(highest);
  }
});

/** The table takes no record without a value. */
const impossible = { key: "whole/2", value: JSON.parse("null") as Uint8Array };

async function batchesPerSecond(
  datastore: ReturnType<typeof sqliteDatastore>,
  inFlight: number,
  total: number,
): Promise<number> {
  let left = total;
  const begin = performance.now();
  const worker = async () => {
    while (left-- > 0) await datastore.batch(record(`speed/${left}`, 300));
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return Math.round(total / ((performance.now() - begin) / 1_000));
}

/** @returns the numbers that the writer was told are written. */
async function killWriterAfter(path: string, count: number): Promise<readonly number[]> {
  const script = new URL("./writer.test-process.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, path], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const numbers: number[] = [];
  for await (const line of createInterface(child.stdout)) {
    numbers.push(Number(line));
    if (numbers.length === count) child.kill("SIGKILL");
  }
  await exited;
  expect(child.signalCode).toBe("SIGKILL");
  return numbers;
}
