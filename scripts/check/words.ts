import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import process from "node:process";
import { ifThereSync } from "../../src/util/errno.ts";

/** Files that are not checked: text files may hold any word, and these hold the words that they look for. */
const NOT_READ = /^(?:scripts\/check\/words(?:\.test)?\.ts|package-lock\.json|src\/gen\/)|\.binpb$/;

/** The program, without generated code and tests. */
const CODE = /^(?:src|cli|scripts|bench|test)\/(?!gen\/).*(?<!\.(?:test|suite|cases))\.ts$/;

interface Rule {
  readonly what: string;
  readonly pattern: RegExp;
  readonly files: RegExp;
}

const RULES: readonly Rule[] = [
  {
    what: "a marker of unfinished work",
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/,
    files: /\.(?:ts|sh|proto|yaml|md|js|html|py)$|^(?:bin|\.ci)\//,
  },
  {
    what: "a test that is left out or runs alone",
    pattern: /\b(?:describe|test|it|suite)(?:\.\w+)*\.(?:only|skip|todo|fails)\b/,
    files: /\.ts$/,
  },
  {
    what: "a silenced type error",
    pattern: /@ts-(?:ignore|nocheck)|as unknown as/,
    files: /\.ts$/,
  },
  // A path that exists on one computer only.
  { what: "a path of somebody's machine", pattern: machinePaths(), files: /./ },
  // The numbers of docs/bench.md are those of one computer.
  {
    what: "a machine, which is a node or a virtual machine",
    pattern: /(?<!\bvirtual[ _-])\bmachines?\b/i,
    files: /^(?!docs\/(?:bench|operating\/verify)\.md).*\.(?:md|proto)$|^examples\//,
  },
  // A comment may continue "virtual" from the line before.
  {
    what: "a machine, which is a node, a virtual machine or a computer",
    pattern: /^\s*(?:\/?\*\*?|\/\/) \S.*(?<!\bvirtual[ _-])\bmachines?\b(?!-readable| type)/i,
    files: CODE,
  },
  {
    what: "a phrase that names nobody who acts",
    pattern:
      /\bwhat (?:is|was) (?:told|asked|done|begun|there)\b|\bwho(?:ever)? is (?:told|asked)\b/i,
    files: new RegExp(`^(?!docs/(?:bench|operating/verify)\\.md).*\\.(?:md|proto)$|${CODE.source}`),
  },
  // "is no image" takes two readings; "is not an image" takes one.
  {
    what: "a negated existential: say what it is not, or what somebody does not do",
    pattern: /(?<!\bthere )\bis no (?!longer\b|more\b|less\b)\w|\bof ours is\b|\bof nothing\b/i,
    files: CODE,
  },
  {
    what: "an old word: say again",
    pattern: /\banew\b/,
    files: CODE,
  },
];

/** Home folders, and the folder of this checkout. Short paths, such as /n, would match by chance. */
function machinePaths(): RegExp {
  const here = [process.cwd(), homedir()].filter((path) => path.split("/").length > 2);
  const literal = here.map((path) => `${path.replaceAll(/[^\w/]/g, "\\$&")}(?![\\w-])`);
  return new RegExp(["/home/(?!n0/)\\w+/", "/Users/\\w+/", ...literal].join("|"));
}

/** Each forbidden text in a file, with its line. */
export function wrongWords(path: string, text: string): readonly string[] {
  const rules = RULES.filter((rule) => rule.files.test(path));
  return text
    .split("\n")
    .flatMap((line, index) =>
      rules
        .filter(({ pattern }) => pattern.test(line))
        .map(({ what }) => `${path}:${index + 1}: ${what}: ${line.trim().slice(0, 100)}`),
    );
}

export function checkWords(files: readonly string[]): readonly string[] {
  if (files.length === 0) return ["saw no file, so this check proves nothing"];
  return (
    files
      .filter((path) => !NOT_READ.test(path))
      // git also lists files that were deleted and not committed yet.
      .flatMap((path) => wrongWords(path, ifThereSync(() => readFileSync(path, "utf8")) ?? ""))
  );
}
