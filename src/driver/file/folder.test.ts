import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureFolderOf, takeFolder } from "./folder.ts";

let base: string;
let outside: string;
let folder: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "n0-folder-"));
  outside = join(base, "outside");
  folder = join(base, "folder");
  mkdirSync(outside);
  writeFileSync(join(outside, "kept"), "");
});
afterEach(() => rmSync(base, { recursive: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;

test("of one that is taken, what is not kept goes, links and not their targets, and the mode is as told", () => {
  mkdirSync(folder);
  writeFileSync(join(folder, "file"), "");
  symlinkSync(outside, join(folder, "link"));
  mkdirSync(join(folder, "inner"));
  symlinkSync(outside, join(folder, "inner", "link"));
  takeFolder(folder, 0o711, (path) => path.endsWith("/file"));
  expect(readdirSync(folder)).toEqual(["file"]);
  expect(modeOf(folder)).toBe(0o711);
  expect(readdirSync(outside)).toEqual(["kept"]);
});

test("a link in its place is not taken", () => {
  symlinkSync(outside, folder);
  const mode = modeOf(outside);
  expect(() => takeFolder(folder, 0o777, () => false)).toThrow();
  expect(modeOf(outside)).toBe(mode);
  expect(readdirSync(outside)).toEqual(["kept"]);
});

test("is made, kept with what is in it, and takes the place of anything else", () => {
  const owner = statSync(base);
  symlinkSync(outside, folder);
  const mode = modeOf(outside);
  ensureFolderOf(owner, folder, 0o750);
  expect(modeOf(outside)).toBe(mode);
  expect(modeOf(folder)).toBe(0o750);
  writeFileSync(join(folder, "file"), "");
  ensureFolderOf(owner, folder, 0o700);
  expect(readdirSync(folder)).toEqual(["file"]);
  expect(modeOf(folder)).toBe(0o700);
});
