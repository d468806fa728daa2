import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Datastore, Writes } from "../../src/datastore/datastore.ts";
import { sqliteDatastore } from "../../src/datastore/sqlite/sqlite-datastore.ts";
import { requirement } from "./requirements.ts";

/** A disk of 2 MiB of its own. */
function smallDisk(): string {
  const folder = mkdtempSync(join(tmpdir(), "n0-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "n0-test", folder]);
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
});
