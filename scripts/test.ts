// npm test: installs what the tests need, checks, runs every test, and leaves the machine as it was but
// for the packages. Arguments go to vitest: npm test -- src/api --project unit.
import { readFileSync, rmSync } from "node:fs";
import process from "node:process";
import { styleText } from "node:util";
import { ifThereSync } from "../src/util/errno.ts";
import { onPreparedHost, prepareOrSkip, prepareTinyImage, TEST_FOLDER } from "./prepared-host.ts";
import { runProgram } from "./run-program.ts";
import { runShown, runTests } from "./run-shown.ts";

const SETS = ["node", "image", "debian", "test"];
const RESULT = `${TEST_FOLDER}/result.${process.pid}.json`;

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What vitest found. Undefined if it did not get as far as that. */
function readCounts(): Counts | undefined {
  const text = ifThereSync(() => readFileSync(RESULT, "utf8"));
  if (text === undefined) return undefined;
  const result = JSON.parse(text) as Record<string, unknown>;
  const count = (key: string) => Number(result[key] ?? 0);
  return {
    passed: count("numPassedTests"),
    failed: count("numFailedTests") + failedFiles(result),
    skipped: count("numPendingTests") + count("numTodoTests"),
  };
}

/** Files that failed before any of their tests ran. */
function failedFiles(result: Record<string, unknown>): number {
  const files = result["testResults"] as readonly { status: string; assertionResults: unknown[] }[];
  return files.filter((f) => f.status === "failed" && f.assertionResults.length === 0).length;
}

interface Outcome {
  readonly isChecked: boolean;
  readonly isTested: boolean;
}

async function checkAndTest(filters: readonly string[]): Promise<Outcome> {
  await prepareTinyImage(prepareOrSkip);
  console.log(styleText("bold", "\n== check"));
  const isChecked = await runShown("node", "scripts/check/main.ts");
  console.log(styleText("bold", "\n== tests"));
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${RESULT}`];
  const isTested = await runTests(...reporters, ...filters);
  return { isChecked, isTested };
}

async function main(): Promise<number> {
  const startedMs = performance.now();
  const { isChecked, isTested } = await onPreparedHost(prepareOrSkip, SETS, () =>
    checkAndTest(process.argv.slice(2)),
  );
  const counts = readCounts();
  rmSync(RESULT, { force: true });
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  if (counts !== undefined && counts.skipped > 0) {
    console.warn(styleText("yellow", `SKIPPED: ${counts.skipped} tests; why stands above`));
  }
  console.log(`check ${isChecked ? "passed" : "FAILED"}, ${seconds} s in all`);
  if (counts === undefined) console.log("the tests did not run to their end");
  else console.log(`${counts.passed} passed, ${counts.failed} failed`);
  return isChecked && isTested ? 0 : 1;
}

await runProgram("test", main);
