import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Datastore, Writes } from "../../src/datastore/datastore.ts";
import { sqliteDatastore } from "../../src/datastore/sqlite/sqlite-datastore.ts";
import { requirement } from "./requirements.ts";

/** A disk of 2 MiB of its own. */
function smallDisk(size = "2m"): string {
  const folder = mkdtempSync(join(tmpdir(), "n0-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "n0-test", folder]);
  onTestFinished(() => {
    execFileSync("umount", [folder]);
    rmdirSync(folder);
  });
  return folder;
}

function pair(number: number): Writes {
  const value = Buffer.alloc(2_000, `${number} `);
  return {
    puts: [
      { key: `left/${number}`, value },
      { key: `right/${number}`, value },
    ],
  };
}

/** Writes until the disk is full. @returns the numbers that were acknowledged, and the refusal. */
async function fill(datastore: Datastore) {
  const written: number[] = [];
  for (let next = 0; ; next += 16) {
    const numbers = Array.from({ length: 16 }, (_, i) => next + i);
    const results = await Promise.allSettled(numbers.map((n) => datastore.batch(pair(n))));
    for (const [i, { status }] of results.entries()) {
      if (status === "fulfilled") written.push(numbers[i]!);
    }
    const refused = results.find((result) => result.status === "rejected");
    if (refused !== undefined) return { written, reason: refused.reason };
  }
}

/** As `fill`, but for what must be written, such as an undo: one at a time, some hundred bytes each. */
async function write(datastore: Datastore, count: number): Promise<number> {
  for (let n = 0; n < count; n += 1) {
    const value = Buffer.alloc(300, `${n} `);
    try {
      await datastore.batch({ puts: [{ key: `undo/${n}`, value }] });
    } catch {
      return n;
    }
  }
  return count;
}

async function numbersUnder(datastore: Datastore, prefix: string): Promise<number[]> {
  const entries = await datastore.list(prefix);
  return entries.map(({ key }) => Number(key.slice(prefix.length))).toSorted((a, b) => a - b);
}

describe.runIf(requirement("root"))("a datastore on a full disk", () => {
  test("refuses to write, keeps what it has, and works again when there is space", async () => {
    const folder = smallDisk();
    const ballast = join(folder, "ballast");
    writeFileSync(ballast, Buffer.alloc(1 << 20));
    const path = join(folder, "n0core.sqlite");
    const datastore = sqliteDatastore({ path });

    const { written, reason } = await fill(datastore);
    expect(written.length).toBeGreaterThan(16);
    expect(reason).toMatchObject({ kind: "unavailable", message: expect.stringContaining("full") });
    expect(await numbersUnder(datastore, "left/")).toEqual(written);
    expect(await numbersUnder(datastore, "right/")).toEqual(written);

    rmSync(ballast);
    const revision = await datastore.batch(pair(1_000_000));
    await datastore[Symbol.asyncDispose]();

    await using again = sqliteDatastore({ path });
    expect(await numbersUnder(again, "left/")).toEqual([...written, 1_000_000]);
    expect(await numbersUnder(again, "right/")).toEqual([...written, 1_000_000]);
    expect((await again.get("left/1000000"))?.revision).toBe(revision);
  });

  test("lives on its reserve: begins nothing new, and writes on what is open", async () => {
    const folder = smallDisk("24m");
    const ballast = join(folder, "ballast");
    const path = join(folder, "n0core.sqlite");
    let nowMs = Date.now();
    const clock = { nowMs: () => nowMs };
    const options = { path, clock, reserveBytes: 8 << 20 };
    await using datastore = sqliteDatastore(options);
    datastore.checkRoom();
    // As a guest does whose disk takes more than it reserved.
    execFileSync("sh", ["-c", 'head -c 64M /dev/zero > "$0" || true', ballast], {
      stdio: "ignore",
    });
    expect(await write(datastore, 100)).toBe(100);
    expect(() => datastore.checkRoom()).toThrow(
      expect.objectContaining({
        kind: "resource_exhausted",
        message: expect.stringContaining("file system of the datastore is full"),
      }),
    );
    // What was given back is not all that there was, so that who fills the disk cannot take it all.
    execFileSync("sh", ["-c", 'head -c 64M /dev/zero >> "$0" || true', ballast], {
      stdio: "ignore",
    });
    expect(await write(datastore, 100)).toBe(100);

    rmSync(ballast);
    nowMs += 1_000;
    datastore.checkRoom();
    expect((await datastore.list("undo/")).length).toBe(100);
  });
});
