import { run } from "./check/run.ts";

/** The programs that each suite on the real host starts. No import leads to them. */
const SUITES: Readonly<Record<string, RegExp>> = {
  node: /^(?:src\/(?:agent|driver|rpc|serve)|scripts|test\/node)\//,
  e2e: /^(?:src\/(?!.*\.cases\.ts$)|(?:cli|bin|scripts|examples|test\/e2e)\/)/,
  lab: /^(?:src\/(?!.*\.cases\.ts$)|(?:cli|bin|scripts|examples|test\/e2e|test\/lab)\/)/,
  crash: /^(?:src|bin|scripts\/scan-host|test\/crash)\//,
  attack: /^(?:src|bin|test\/attack)\//,
};
/** Unit tests that read the project, or start its programs. */
const READ = ["test/tidy.test.ts", "test/documents.test.ts", "test/verify-docs.test.ts"];
const STARTED = ["cli/main.test.ts", "src/serve/main.test.ts", "scripts/"];
/** The files that may affect every test. */
const ROOTS = /^(?:package\.json|package-lock\.json|tsconfig\.json|vitest\.config\.ts)$/;
const UNIT_TEST = /^(?:src|cli|scripts)\/.*\.(?:test|sim|drift)\.ts$/;
/** Tests that gather the files beside the resources, by the ends of their names: no import leads to these. */
const GATHERED: Readonly<Record<string, readonly string[]>> = {
  ".cases.ts": ["test/"],
  ".sim.ts": ["test/sim/"],
  ".drift.ts": ["test/verify-", "test/unwind-", "src/api/observe/verify/", "cli/commands/verify"],
};

/**
 * The commit to compare with: the point where this branch left main, or HEAD if there is no main, or this is
 * main.
 */
export async function branchPoint(): Promise<string> {
  const { isGood, output } = await run("git", ["merge-base", "main", "HEAD"]);
  return isGood ? output.trim() : "HEAD";
}

/**
 * The files that differ from the commit, with those that git does not track yet. @throws Error if there is no
 * such commit.
 */
export async function changedSince(commit: string): Promise<readonly string[]> {
  const lists = [
    ["diff", "--name-only", "--no-renames", commit, "--"],
    ["ls-files", "--others", "--exclude-standard"],
  ];
  const found = await Promise.all(lists.map((args) => run("git", args)));
  const bad = found.find(({ isGood }) => !isGood);
  if (bad !== undefined) throw new Error(`git: ${bad.output.trim()}`);
  return found.flatMap(({ output }) => output.split("\n")).filter((path) => path !== "");
}

/**
 * vitest's arguments for each of the runs that together test everything that a change of these files can
 * affect. vitest follows the imports itself; this adds the files that tests start or read.
 */
export function runsFor(files: readonly string[], commit: string): readonly (readonly string[])[] {
  if (files.some((path) => ROOTS.test(path))) return [[]];
  const parts = files.filter((path) => !UNIT_TEST.test(path));
  const suites = Object.keys(SUITES).filter((name) =>
    parts.some((path) => SUITES[name]?.test(path)),
  );
  const byImport = ["unit", "node"].filter((name) => !suites.includes(name));
  const started = parts.some((path) => /^(?:src|cli|bin|scripts)\//.test(path)) ? STARTED : [];
  const gathering = Object.entries(GATHERED).flatMap(([end, tests]) =>
    files.some((path) => path.endsWith(end)) ? tests : [],
  );
  return [
    ["--changed", commit, "--passWithNoTests", ...projects(byImport)],
    [...projects(["unit"]), ...READ, ...started, ...gathering],
    ...(suites.length === 0 ? [] : [projects(suites)]),
  ];
}

function projects(names: readonly string[]): string[] {
  return names.flatMap((name) => ["--project", name]);
}
