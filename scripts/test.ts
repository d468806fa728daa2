// npm test: installs what the tests need, checks, runs every test, and leaves the machine as it was but
// for the packages. Arguments go to vitest: npm test -- src/api --project unit.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import process from "node:process";
import { styleText } from "node:util";
import { runShown } from "./run-shown.ts";

const FOLDER = ".cache/test";
/** One for each run: two at once must not end each other's libvirtd. */
const LIBVIRTD_RECORD = `${FOLDER}/libvirtd.${process.pid}`;
const RESULT = `${FOLDER}/result.${process.pid}.json`;
const IS_CI = process.env["CI"] === "true";

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** On CI everything is to run; elsewhere the tests that need it say that they are skipped. */
async function prepare(what: string, command: string, ...args: string[]): Promise<void> {
  console.log(styleText("bold", `\n== ${what}`));
  if (await runShown(command, ...args)) return;
  if (IS_CI) throw new Error(`${what}: failed, and CI=true: everything must run here`);
  console.warn(
    styleText("yellow", `SKIPPED: ${what}; the tests that need it do not run on this machine`),
  );
}

/** What vitest found. Undefined if it did not get as far as that. */
function readCounts(): Counts | undefined {
  try {
    const result = JSON.parse(readFileSync(RESULT, "utf8")) as Record<string, unknown>;
    const count = (key: string) => Number(result[key] ?? 0);
    return {
      passed: count("numPassedTests"),
      failed: count("numFailedTests") + failedFiles(result),
      skipped: count("numPendingTests") + count("numTodoTests"),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
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

/** Ends the libvirtd that it started, and no other, whatever happens. */
async function checkAndTest(filters: readonly string[]): Promise<Outcome> {
  const host = "scripts/host";
  try {
    const sets = ["node", "image", "debian", "test"];
    await prepare("Debian packages", `${host}/ensure-packages.sh`, ...sets);
    await prepare("libvirtd", `${host}/ensure-libvirtd.sh`, "--record", LIBVIRTD_RECORD);
    await prepare("tiny guest image", "scripts/image/tiny.sh");
    console.log(styleText("bold", "\n== check"));
    const isChecked = await runShown("node", "scripts/check/main.ts");
    console.log(styleText("bold", "\n== tests"));
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${RESULT}`];
    const isTested = await runShown("vitest", "run", ...reporters, ...filters);
    return { isChecked, isTested };
  } finally {
    await runShown(`${host}/stop-libvirtd.sh`, "--record", LIBVIRTD_RECORD);
  }
}

async function main(): Promise<boolean> {
  // The children get it too and end; what was started here is still to be ended.
  process.on("SIGINT", () => {}).on("SIGTERM", () => {});
  mkdirSync(FOLDER, { recursive: true });
  const startedMs = performance.now();
  const { isChecked, isTested } = await checkAndTest(process.argv.slice(2));
  const counts = readCounts();
  rmSync(RESULT, { force: true });
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  if (counts !== undefined && counts.skipped > 0) {
    console.warn(styleText("yellow", `SKIPPED: ${counts.skipped} tests; why stands above`));
  }
  console.log(`check ${isChecked ? "passed" : "FAILED"}, ${seconds} s in all`);
  if (counts === undefined) console.log("the tests did not run to their end");
  else console.log(`${counts.passed} passed, ${counts.failed} failed`);
  return isChecked && isTested;
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
