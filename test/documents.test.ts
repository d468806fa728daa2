// Every command that a document shows exists, with the flags that it shows.
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "../cli/program.ts";
import { newTestIo } from "../cli/testing/test-io.ts";
import { projectFiles } from "../scripts/check/run.ts";
import { kebabCase, settingsOf } from "../src/serve/setting-info.ts";

const PROJECT = join(import.meta.dirname, "..");
const PROGRAM = /^(?:bin\/)?(n0cli|n0core|npm)$/;
const documents = (await projectFiles()).filter(
  (path) => /(?:\.md|^examples\/.*\.yaml)$/.test(path) && existsSync(join(PROJECT, path)),
);

interface Shown {
  /** `README.md: n0cli get vm`. */
  readonly where: string;
  readonly program: string;
  readonly words: readonly string[];
}

/** In blocks of shell, in code within a line, and in the comments that begin an example. */
function shownIn(path: string): readonly Shown[] {
  const text = readFileSync(join(PROJECT, path), "utf8");
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = ""]) => block);
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
  const comments = [...text.matchAll(/^# {3}(.*)$/gm)].map(([, comment = ""]) => comment);
  const parts = path.endsWith(".md") ? [...blocks, ...spans] : comments;
  return parts
    .flatMap((part) => part.replaceAll("\\\n", " ").split("\n"))
    .flatMap((line) => line.replace(/(?:^|\s)#.*/, "").split(/\s[|&;]+\s/))
    .flatMap((command) => {
      const words = command.trim().split(/\s+/);
      // After variables for the environment, such as N0_SEED=7.
      const [first = "", ...rest] = words.slice(words.findIndex((word) => !/^\w+=/.test(word)));
      const program = PROGRAM.exec(first)?.[1];
      return program === undefined
        ? []
        : [{ where: `${path}: ${command.trim()}`, program, words: rest }];
    });
}

async function helpOf(words: readonly string[]): Promise<string> {
  const io = newTestIo({});
  await run([...words, "--help"], io.io);
  return `${io.stdout()}${io.stderr()}`;
}

/** The commands that a help text lists, with their aliases. */
function commandsOf(help: string): ReadonlySet<string> {
  const [, list = ""] = help.split(/^Commands:$/m);
  const names = [...list.matchAll(/^ {2}([a-z_|-]+)/gm)].flatMap(([, name = ""]) =>
    name.split("|"),
  );
  return new Set(names);
}

function flagsOf(words: readonly string[]): readonly string[] {
  const end = words.indexOf("--");
  return (end < 0 ? words : words.slice(0, end))
    .filter((word) => /^--?[a-z]/.test(word))
    .map((word) => word.replace(/=.*/, ""));
}

function has(help: string, flag: string): boolean {
  return new RegExp(`(?<![\\w-])${flag}(?![\\w-])`).test(help);
}

async function wrongOfN0cli(words: readonly string[]): Promise<readonly string[]> {
  const root = await helpOf([]);
  let help = root;
  const path: string[] = [];
  for (const word of words.filter((other) => !other.startsWith("-"))) {
    const commands = commandsOf(help);
    if (commands.size === 0) break;
    if (!commands.has(word)) return [`there is no command ${[...path, word].join(" ")}`];
    path.push(word);
    help = await helpOf(path);
  }
  const known = `${help}\n${root}`;
  return flagsOf(words).filter((flag) => !has(known, flag));
}

function wrongOfN0core([verb = "", role = "", ...rest]: readonly string[]): readonly string[] {
  if (verb === "version" || (verb === "serve" && role === "")) return [];
  if (verb !== "serve" || !["api", "agent", "standalone"].includes(role)) return [verb, role];
  const settings = settingsOf(role as "api").map(({ key }) => `--${kebabCase(key)}`);
  const known = new Set([...settings, "--config", "--print-config", "--help"]);
  return flagsOf(rest).filter((flag) => !known.has(flag));
}

const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
  scripts: Readonly<Record<string, string>>;
};

/** Flags of a script are those that its source, or what it hands them to, tells of. */
function wrongOfNpm([verb = "", ...rest]: readonly string[]): readonly string[] {
  if (verb === "ci") return [];
  const [name = "", ...words] = verb === "run" ? rest : [verb, ...rest];
  const script = scripts[name];
  if (script === undefined) return [`there is no script ${name}`];
  const source = /[\w./-]+\.(?:ts|sh)$/.exec(script.split(" ")[2] ?? script)?.[0];
  const text = source === undefined ? "" : readFileSync(join(PROJECT, source), "utf8");
  return flagsOf(words.filter((word) => word !== "--")).filter(
    (flag) => !has(text, flag) && !["--project"].includes(flag),
  );
}

const CHECKS = { n0cli: wrongOfN0cli, n0core: wrongOfN0core, npm: wrongOfNpm } as const;

describe("what the documents show", () => {
  const shown = documents.flatMap(shownIn);

  test("is seen at all", () => {
    for (const program of Object.keys(CHECKS)) {
      expect(shown.filter((one) => one.program === program).length).toBeGreaterThan(5);
    }
  });

  test("exists, with its flags", async () => {
    const wrong: string[] = [];
    for (const { where, program, words } of shown) {
      const found = await CHECKS[program as keyof typeof CHECKS](words);
      if (found.length > 0) wrong.push(`${where}: ${found.join(", ")}`);
    }
    expect(wrong).toEqual([]);
  });

  test("names files that are there", () => {
    const roots = "src|cli|test|scripts|bench|docs|examples|proto|bin";
    const path = new RegExp(`^(?:${roots})/[\\w./-]*\\w/?$`);
    const wrong = documents.flatMap((document) => {
      const text = readFileSync(join(PROJECT, document), "utf8");
      return [...text.matchAll(/`([^`\n]+)`/g)]
        .map(([, span = ""]) => span)
        .filter((span) => path.test(span) && !existsSync(join(PROJECT, span)))
        .map((span) => `${basename(document)}: ${span}`);
    });
    expect(wrong).toEqual([]);
  });
});
