// What keeps the project readable, as rules that run: sizes, headings, numbers of decisions.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { projectFiles } from "../scripts/check/run.ts";

const FILE_LINES_MAX = 400;
const TEST_FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;
/** One declaration of a C function after the other: nothing in it to follow. */
const TABLES: readonly string[] = ["src/driver/compute/libvirt/bindings.ts"];

const files = (await projectFiles()).filter((path) => existsSync(path));
const sources = files.filter((path) => path.endsWith(".ts") && !path.startsWith("src/gen/"));
const documents = files.filter((path) => path.endsWith(".md"));

function linesOf(path: string): readonly string[] {
  return readFileSync(path, "utf8").trimEnd().split("\n");
}

function isTest(path: string): boolean {
  return /\.(?:test|suite)\.ts$/.test(path) || path.startsWith("test/");
}

interface Span {
  readonly line: number;
  /** Its own lines: without those of the functions in it, which are measured by themselves. */
  readonly count: number;
}

const FUNCTION =
  /^\s*(?:export )?(?:async )?function\b|=> \{$|^\s+(?:async )?\*?[\w[\].]+\(.*\).*\{$/;
// A describe holds tests, which are functions of their own.
const NO_FUNCTION = /^\s*(?:describe|if|for|while|switch|catch|return|else|\} else|\} catch)\b/;

/**
 * The functions of a file that biome has formatted: one begins in a line that opens a brace after its
 * parameters, and ends at the brace with the same indentation.
 */
function functionsOf(lines: readonly string[]): readonly Span[] {
  const spans: { start: number; end: number }[] = [];
  for (const [start, line] of lines.entries()) {
    if (!FUNCTION.test(line) || NO_FUNCTION.test(line)) continue;
    const indent = /^\s*/.exec(line)?.[0] ?? "";
    const end = lines.findIndex((other, at) => at > start && other.startsWith(`${indent}}`));
    if (end > start) spans.push({ start, end });
  }
  return spans.map(({ start, end }) => {
    const inner = spans.filter((other) => other.start > start && other.end < end);
    const isInner = (at: number) => inner.some((other) => at >= other.start && at <= other.end);
    let count = 0;
    for (let at = start; at <= end; at++) if (!isInner(at)) count++;
    return { line: start + 1, count };
  });
}

test("files are seen at all", () => {
  expect(sources.length).toBeGreaterThan(100);
});

test("a file can be read in one sitting", () => {
  const tooLong = sources
    .map((path) => ({ path, count: linesOf(path).length }))
    .filter(({ path, count }) => count > (isTest(path) ? TEST_FILE_LINES_MAX : FILE_LINES_MAX))
    .map(({ path, count }) => `${path}: ${count} lines`);
  expect(tooLong).toEqual([]);
});

test("a function fits a screen", () => {
  const tooLong = sources
    .filter((path) => !TABLES.includes(path))
    .flatMap((path) =>
      functionsOf(linesOf(path))
        .filter(({ count }) => count > FUNCTION_LINES_MAX)
        .map(({ line, count }) => `${path}:${line}: ${count} lines`),
    );
  expect(tooLong).toEqual([]);
});

test("the measure of functions measures", () => {
  const body = Array.from({ length: 80 }, () => "  work();");
  expect(functionsOf(["function a() {", ...body, "}"])).toEqual([{ line: 1, count: 82 }]);
  expect(functionsOf(["const a = async () => {", ...body, "};"])).toEqual([{ line: 1, count: 82 }]);
  const factory = ["function a() {", "  const b = () => {", ...body, "  };", "}"];
  expect(functionsOf(factory)[0]).toEqual({ line: 1, count: 2 });
  const method = ["  async start(name: string): Promise<void> {", "    work();", "  },"];
  expect(functionsOf(["const c = {", ...method, "};"])).toEqual([{ line: 2, count: 3 }]);
  expect(functionsOf(["if (a) {", ...body, "}"])).toEqual([]);
});

test("each document has one title, its first line", () => {
  const wrong = documents.filter((path) => {
    const lines = linesOf(path);
    let isCode = false;
    const titles = lines.filter((line) => {
      if (line.startsWith("```")) isCode = !isCode;
      return !isCode && /^# \S/.test(line);
    });
    return titles.length !== 1 || titles[0] !== lines[0];
  });
  expect(wrong).toEqual([]);
});

test("links between documents lead somewhere", () => {
  const dead = documents.flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !existsSync(join(dirname(path), target)))
      .map((target) => `${path}: ${target}`),
  );
  expect(dead).toEqual([]);
});

test("decisions are numbered without gaps, and each says its status", () => {
  const names = existsSync("docs/adr") ? readdirSync("docs/adr").sort() : [];
  const decisions = names.filter((name) => name.endsWith(".md") && name !== "README.md");
  const numbers = decisions.map((name) => Number(/^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1]));
  expect(numbers).toEqual(decisions.map((_, index) => index + 1));
  const silent = decisions.filter(
    (name) => !/^\W*status\b/im.test(readFileSync(join("docs/adr", name), "utf8")),
  );
  expect(silent).toEqual([]);
});

test("names of files say what is in them", () => {
  const empty = /^(?:utils?|helpers?|types?|common|misc|index|manager|service)\.ts$/;
  const kebab = /^[a-z0-9]+(?:[-.][a-z0-9]+)*\.ts$/;
  const wrong = sources.filter((path) => empty.test(basename(path)) || !kebab.test(basename(path)));
  expect(wrong).toEqual([]);
});

test("what begins with an interpreter can be executed, and nothing else can", () => {
  const wrong = files.filter((path) => {
    const isProgram = linesOf(path)[0]?.startsWith("#!") === true;
    return isProgram !== ((statSync(path).mode & 0o111) !== 0);
  });
  expect(wrong).toEqual([]);
});
