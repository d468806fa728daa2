import { readFileSync } from "node:fs";
import { relative } from "node:path";
import process from "node:process";
import { ifThereSync } from "../src/util/errno.ts";

interface File {
  readonly name: string;
  readonly status: string;
  readonly startTime: number;
  readonly endTime: number;
  readonly assertionResults: readonly unknown[];
}

/** The parts of vitest's JSON report that npm test needs. */
export interface TestResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly File[];
}

/** Undefined if vitest ended before it wrote the report. */
export function readResult(path: string): TestResult | undefined {
  const text = ifThereSync(() => readFileSync(path, "utf8"));
  return text === undefined ? undefined : (JSON.parse(text) as TestResult);
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function countsOf(results: readonly TestResult[]): Counts {
  const sum = (count: (result: TestResult) => number) =>
    results.reduce((total, result) => total + count(result), 0);
  return {
    passed: sum((result) => result.numPassedTests),
    failed: sum((result) => result.numFailedTests + failedFiles(result)),
    skipped: sum((result) => result.numPendingTests + result.numTodoTests),
  };
}

/** Files that failed before any of their tests ran. */
function failedFiles({ testResults }: TestResult): number {
  return testResults.filter((f) => f.status === "failed" && f.assertionResults.length === 0).length;
}

/** A line for each of the slowest files, the slowest first. */
export function slowestFiles(results: readonly TestResult[], count: number): readonly string[] {
  return results
    .flatMap(({ testResults }) => testResults)
    .map(({ name, startTime, endTime }) => ({ name, seconds: (endTime - startTime) / 1000 }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, count)
    .map(({ name, seconds }) => line(seconds, relative(process.cwd(), name)));
}

/** A line for each project of vitest.config.ts: from the start of its first file to the end of its last one. */
export function projectTimes(results: readonly TestResult[]): readonly string[] {
  const files = results.flatMap(({ testResults }) => testResults);
  return [...Map.groupBy(files, ({ name }) => projectOf(relative(process.cwd(), name)))]
    .map(([project, its]) => {
      const startMs = Math.min(...its.map(({ startTime }) => startTime));
      const endMs = Math.max(...its.map(({ endTime }) => endTime));
      return { startMs, text: line((endMs - startMs) / 1000, `${project}, ${its.length} files`) };
    })
    .sort((a, b) => a.startMs - b.startMs)
    .map(({ text }) => text);
}

function projectOf(path: string): string {
  const folder = /^test\/(node|crash|e2e|lab|attack)\//.exec(path)?.[1];
  return folder ?? "unit";
}

function line(seconds: number, what: string): string {
  return `${seconds.toFixed(1).padStart(7)} s  ${what}`;
}
