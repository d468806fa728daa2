import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isRegular, openRegular, readRegular, readRegularSync } from "./regular-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "n0-regular-"));
  writeFileSync(join(folder, "secret"), "root's");
});
afterEach(() => rmSync(folder, { recursive: true }));

const PLANTS: Readonly<Record<string, (path: string) => void>> = {
  "a link": (path) => symlinkSync(join(folder, "secret"), path),
  "a dangling link": (path) => symlinkSync(join(folder, "nowhere"), path),
  "a FIFO, whose other end nobody opens": (path) => execFileSync("mkfifo", [path]),
  "a folder": (path) => mkdirSync(path),
  nothing: () => {},
};

test.each(Object.entries(PLANTS))("%s is no file, and is not waited for", async (_what, plant) => {
  const path = join(folder, "file");
  plant(path);
  expect(await openRegular(path)).toBeUndefined();
  expect(await readRegular(path)).toBeUndefined();
  expect(readRegularSync(path)).toBeUndefined();
  expect(isRegular(path)).toBe(false);
});

test("a file is read", async () => {
  const path = join(folder, "secret");
  expect((await readRegular(path))?.toString()).toBe("root's");
  expect(readRegularSync(path)?.toString()).toBe("root's");
  expect(isRegular(path)).toBe(true);
});
