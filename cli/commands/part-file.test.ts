import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PartFile } from "./part-file.ts";

const source = { validator: "v1", totalBytes: 100n };

let folder = "";
let target = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-part-"));
  target = join(folder, "disk");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("of a download that is killed so much is gone on with as is safe on the disk", async () => {
  await using killed = await PartFile.open(target, false, 64n);
  await killed.begin(source);
  for (let i = 0; i < 70; i += 1) await killed.write(Uint8Array.of(i));
  await using next = await PartFile.open(target, true);
  expect(next.doneBytes).toBe(64n);
  expect(next.source).toMatchObject(source);
  for (let i = 64; i < 100; i += 1) await next.write(Uint8Array.of(i));
  await next.finish();
  expect([...(await readFile(target))]).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(await readdir(folder)).toEqual(["disk"]);
});

test("what is not whole does not get its name", async () => {
  await using part = await PartFile.open(target, false);
  await part.begin({ ...source, totalBytes: 10n });
  await part.write(Buffer.alloc(9));
  await expect(part.finish()).rejects.toThrow("has 9 bytes, not 10");
  expect((await readdir(folder)).sort()).toEqual(["disk.part", "disk.part.json"]);
});
