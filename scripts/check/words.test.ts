import process from "node:process";
import { expect, test } from "vitest";
import { checkWords, wrongWords } from "./words.ts";

test.each([
  ["src/a.ts", "// TODO: more", "unfinished"],
  ["proto/a.proto", "// FIXME", "unfinished"],
  ["src/a.test.ts", 'test.only("a", () => {});', "runs alone"],
  ["src/a.test.ts", 'describe.skip("a", () => {});', "left out"],
  ["src/a.ts", "const a = b as unknown as C;", "silenced"],
  ["README.md", "cd /home/somebody/n0stack", "machine"],
  ["docs/a.md", `cd ${process.cwd()}`, "machine"],
  ["docs/a.md", "Copy it to all machines.", "which is a node"],
  ["proto/a.proto", "// What is done so far.", "names nobody"],
  ["cli/a.ts", "  // What was done so far.", "names nobody"],
  ["src/a.ts", "/** All machines of the cloud. */", "which is a node"],
  ["src/a.ts", "throw new Error(`${path} is no image`);", "negated"],
  ["bench/a.ts", " * For a token that none of ours is.", "negated"],
  ["scripts/a.ts", "// It is made anew.", "old word"],
])("%s: %s is found", (path, text, what) => {
  expect(wrongWords(path, `fine\n${text}\n`).join()).toContain(what);
  expect(wrongWords(path, `fine\n${text}\n`).join()).toContain(`${path}:2:`);
});

test("what only looks like it is right", () => {
  expect(wrongWords("src/a.test.ts", 'test.runIf(canRun)("todo lists", () => {});')).toEqual([]);
  expect(wrongWords("examples/seed.yaml", "path: /home/n0/file")).toEqual([]);
  expect(wrongWords("src/a.ts", " * There is no file, and it is no longer read.")).toEqual([]);
  expect(wrongWords("src/a.ts", " * machines of the user. A virtual machine.")).toEqual([]);
  expect(wrongWords("src/a.test.ts", 'test("a text that is no size", () => {});')).toEqual([]);
  expect(wrongWords("docs/a.md", "Two virtual machines, `virtual-machine/a`.")).toEqual([]);
});

test("a check that sees no file fails", () => {
  expect(checkWords([]).join()).toContain("proves nothing");
});
