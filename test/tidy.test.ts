// What keeps the project readable, as rules that run: sizes, headings, numbers of decisions.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { projectFiles } from "../scripts/check/run.ts";

const FILE_LINES_MAX = 400;
const TEST_FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 60;
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
  /** With the functions in it, but for those that are measured by themselves. */
  readonly count: number;
}

const FUNCTION =
  /^\s*(?:export )?(?:async )?function\b|=> \{$|^\s+(?:async )?\*?#?[\w[\].]+\(.*\).*\{$|^\s*\): .* \{$/;
const CONTROL = /^\s*(?:if|for|while|switch|try|do|else|\} else|\} catch|\} finally)\b/;
const TEST = /^\s*(?:describe|test|it|beforeEach|afterEach)\b/;

interface Block {
  readonly start: number;
  readonly end: number;
  readonly indent: string;
}

/**
 * The functions of a file that biome has formatted: one begins in a line that opens a brace after its
 * parameters, and ends at the brace with the same indentation. What it holds counts too. Only the methods of
 * an object that it makes, with the functions that they share, and the tests of a suite count by themselves.
 */
function functionsOf(lines: readonly string[]): readonly Span[] {
  const spans: Block[] = [];
  const blocks: Block[] = [];
  for (const [start, line] of lines.entries()) {
    const isFunction = FUNCTION.test(line);
    if (CONTROL.test(line) || !(isFunction || line.endsWith("{"))) continue;
    const indent = /^\s*/.exec(line)?.[0] ?? "";
    // `}: Options) {` ends the parameters.
    const isEnd = (other: string) => other.startsWith(`${indent}}`) && !other.endsWith("{");
    const end = lines.findIndex((other, at) => at > start && isEnd(other));
    if (end > start) (isFunction ? spans : blocks).push({ start, end, indent });
  }
  const within = (outer: Block) => (one: Block) => one.start > outer.start && one.end < outer.end;
  return spans
    .filter(({ start }) => !/^\s*describe\b/.test(lines[start] ?? ""))
    .map((span) => {
      const inner = spans.filter(within(span));
      const objects = blocks.filter(
        (block) =>
          within(span)(block) &&
          block.indent === `${span.indent}  ` &&
          inner.some((one) => within(block)(one) && one.indent === `${block.indent}  `),
      );
      const apart = inner.filter(
        ({ start, indent }) =>
          TEST.test(lines[start] ?? "") || (objects.length > 0 && indent === `${span.indent}  `),
      );
      const isApart = (at: number) =>
        [...apart, ...objects].some(({ start, end }) => at >= start && at <= end);
      let count = 0;
      for (let at = span.start; at <= span.end; at++) if (!isApart(at)) count++;
      return { line: span.start + 1, count };
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
  const body = Array.from({ length: 80 }, () => "    work();");
  expect(functionsOf(["function a() {", ...body, "}"])).toEqual([{ line: 1, count: 82 }]);
  expect(functionsOf(["const a = async () => {", ...body, "};"])).toEqual([{ line: 1, count: 82 }]);
  const holder = ["function a() {", "  const b = () => {", ...body, "  };", "  b();", "}"];
  expect(functionsOf(holder)[0]).toEqual({ line: 1, count: 85 });
  const methods = ["  return {", "    async start(name: string) {", ...body, "    },", "  };"];
  const maker = ["function a() {", "  const b = () => {", ...body, "  };", ...methods, "}"];
  expect(functionsOf(maker).map(({ count }) => count)).toEqual([2, 82, 82]);
  const suite = ["function a() {", '  test("b", () => {', ...body, "  });", "}"];
  expect(functionsOf(suite).map(({ count }) => count)).toEqual([2, 82]);
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

test("the index of the decisions has a line for each, with its title", () => {
  const lines = linesOf("docs/adr/README.md");
  const missing = readdirSync("docs/adr")
    .filter((name) => /^\d{4}-/.test(name))
    .filter((name) => {
      const [, number = "", title = ""] =
        /^# (\d+)\. (.*)$/.exec(linesOf(`docs/adr/${name}`)[0] ?? "") ?? [];
      return !lines.some((line) => line.startsWith(`| ${number} | [${title}](${name}) | `));
    });
  expect(missing).toEqual([]);
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
