import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openLogFile } from "./log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "n0-log-"));
afterAll(() => rmSync(folder, { recursive: true }));

const text = (path: string) => readFileSync(path, "utf8");
const line = (letter: string) => `${letter.repeat(39)}\n`;

test("lines are appended to the existing file, and only the owner may read it", () => {
  const path = join(folder, "deep/own.log");
  openLogFile(path, 0).write("one\n");
  openLogFile(path, 0).write("two\nthree\n");
  expect(text(path)).toBe("one\ntwo\nthree\n");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a file that is full is kept once, and no file is larger than it may be", () => {
  const path = join(folder, "full.log");
  openLogFile(path, 100).write(line("a"));
  const file = openLogFile(path, 100);
  for (const letter of ["b", "c"]) file.write(line(letter));
  expect(text(`${path}.1`)).toBe(line("a") + line("b"));
  expect(text(path)).toBe(line("c"));
  for (const letter of ["d", "e", "f"]) file.write(line(letter));
  expect(text(`${path}.1`)).toBe(line("c") + line("d"));
  expect(text(path)).toBe(line("e") + line("f"));
  expect(existsSync(`${path}.2`)).toBe(false);
});

test("a file that was renamed is written on until it is reopened", () => {
  const path = join(folder, "moved.log");
  const file = openLogFile(path, 0);
  file.write("one\n");
  renameSync(path, `${path}.old`);
  file.write("two\n");
  file.reopen();
  file.write("three\n");
  expect(text(`${path}.old`)).toBe("one\ntwo\n");
  expect(text(path)).toBe("three\n");
});

test("what cannot be written is told of later, and ends nothing", () => {
  const path = join(folder, "stuck.log");
  const file = openLogFile(path, 50);
  file.write(line("a"));
  // Nothing can be renamed to it.
  mkdirSync(join(`${path}.1`, "in the way"), { recursive: true });
  for (const letter of ["b", "c"]) file.write(line(letter));
  expect(text(path)).toBe(line("a"));
  rmSync(`${path}.1`, { recursive: true });
  file.write(line("d"));
  expect(text(path)).toBe(line("d"));
  expect(JSON.parse(text(`${path}.1`))).toMatchObject({ level: "warn", count: 2 });
});

test("a device is never renamed", () => {
  const file = openLogFile("/dev/null", 10);
  for (const letter of ["a", "b", "c"]) file.write(line(letter));
  expect(existsSync("/dev/null.1")).toBe(false);
});
