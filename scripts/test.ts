// npm test: installs what the tests need, checks, runs every test, and leaves the host as it was, except for
// the packages. Arguments go to vitest: npm test -- src/api --project unit.
//
// With --changed it tests what the changes since this branch left main may affect; with --changed=COMMIT, since
// that commit.
import { rmSync } from "node:fs";
import process from "node:process";
import { styleText } from "node:util";
import { branchPoint, changedSince, runsFor } from "./changed.ts";
import { onPreparedHost, prepareOrSkip, prepareTinyImage, TEST_FOLDER } from "./prepared-host.ts";
import { runProgram } from "./run-program.ts";
import { runShown, runTests } from "./run-shown.ts";
import {
  countsOf,
  projectTimes,
  readResult,
  slowestFiles,
  type TestResult,
} from "./test-results.ts";

const SETS = ["node", "image", "debian", "test"];
const SLOWEST = 10;

interface Outcome {
  readonly isChecked: boolean;
  readonly isTested: boolean;
  /** The result of each run; undefined for a run that did not end. */
  readonly results: readonly (TestResult | undefined)[];
}

/** vitest's arguments, for each run. */
async function runsOf(given: readonly string[]): Promise<readonly (readonly string[])[]> {
  const changed = given.find((argument) => /^--changed(?:=|$)/.test(argument));
  if (changed === undefined) return [given];
  const commit = changed.split("=")[1] ?? (await branchPoint());
  const others = given.filter((argument) => argument !== changed);
  const files = await changedSince(commit);
  console.log(`${files.length} files differ from ${commit}`);
  return runsFor(files, commit).map((args) => [...args, ...others]);
}

async function checkAndTest(given: readonly string[]): Promise<Outcome> {
  const runs = await runsOf(given);
  await prepareTinyImage(prepareOrSkip);
  console.log(styleText("bold", "\n== check"));
  const isChecked = await runShown("node", "scripts/check/main.ts");
  console.log(styleText("bold", "\n== tests"));
  const results: (TestResult | undefined)[] = [];
  let isTested = true;
  for (const args of runs) {
    const file = `${TEST_FOLDER}/result.${process.pid}.json`;
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    if (!(await runTests(...reporters, ...args))) isTested = false;
    results.push(readResult(file));
    rmSync(file, { force: true });
  }
  return { isChecked, isTested, results };
}

async function main(): Promise<number> {
  const startedMs = performance.now();
  const { isChecked, isTested, results } = await onPreparedHost(prepareOrSkip, SETS, () =>
    checkAndTest(process.argv.slice(2)),
  );
  const ended = results.filter((result) => result !== undefined);
  const { passed, failed, skipped } = countsOf(ended);
  console.log(`the projects:\n${projectTimes(ended).join("\n")}`);
  console.log(`the slowest files:\n${slowestFiles(ended, SLOWEST).join("\n")}`);
  if (skipped > 0) {
    console.warn(styleText("yellow", `SKIPPED: ${skipped} tests; see the reasons above`));
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  console.log(`check ${isChecked ? "passed" : "FAILED"}, ${seconds} s in all`);
  if (ended.length < results.length) console.log("the test runs ended early");
  else console.log(`${passed} passed, ${failed} failed`);
  return isChecked && isTested ? 0 : 1;
}

await runProgram("test", main);
