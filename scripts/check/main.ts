// npm run check: finds everything that can be found without running the program. Prints one line for each part,
// and at the end the failures. Two parts run at a time, as most use one core. To run only some parts: npm run
// check -- types "buf lint"
import process from "node:process";
import { styleText } from "node:util";
import { Failure, runProgram, wrongUse } from "../run-program.ts";
import { checkArrows } from "./arrows.ts";
import { checkGenerated } from "./generated.ts";
import { failures, projectFiles } from "./run.ts";
import { checkWords } from "./words.ts";

interface Part {
  readonly name: string;
  /** Empty if the check passes. */
  check(files: readonly string[]): readonly string[] | Promise<readonly string[]>;
}

const PARALLEL = 2;
const LINES_SHOWN_MAX = 200;

/** The longest first. */
const PARTS: readonly Part[] = [
  { name: "types", check: () => failures("tsc", "--noEmit", "--project", ".") },
  { name: "generated code", check: checkGenerated },
  { name: "lint", check: () => failures("oxlint", "--type-aware", "--format=unix") },
  { name: "dead code", check: () => failures("knip", "--no-progress") },
  { name: "format", check: () => failures("biome", "check", "--colors=off", ".") },
  { name: "arrows", check: checkArrows },
  { name: "words", check: checkWords },
  { name: "shell", check: checkShell },
  { name: "buf lint", check: () => failures("buf", "lint") },
  { name: "buf format", check: () => failures("buf", "format", "--diff", "--exit-code", "proto") },
  // Compared with the wire of the v0 packages as they were settled. They may only grow.
  {
    name: "buf breaking",
    check: () => failures("buf", "breaking", "proto", "--against", "proto/baseline/v0.binpb"),
  },
];

/** Checks the syntax only: a test or npm test itself runs every shell script. */
async function checkShell(files: readonly string[]): Promise<readonly string[]> {
  const scripts = files.filter((path) => path.endsWith(".sh") || path === ".ci/run");
  const found = await Promise.all(scripts.map((path) => failures("bash", "-n", path)));
  return found.flat();
}

async function runPart(part: Part, files: readonly string[]): Promise<readonly string[]> {
  const startedMs = performance.now();
  const check = async () => part.check(files);
  const found = await check().catch((error: unknown) => [String(error)]);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(5);
  const isGood = found.length === 0;
  const mark = isGood ? styleText("green", "ok    ") : styleText("red", "FAILED");
  console.log(`${mark} ${part.name.padEnd(15)} ${seconds} s`);
  return found;
}

function chosen(names: readonly string[]): readonly Part[] {
  const unknown = names.find((name) => !PARTS.some((part) => part.name === name));
  if (unknown !== undefined) {
    const known = PARTS.map(({ name }) => name).join(", ");
    throw wrongUse(`there is no part "${unknown}"; there are ${known}`);
  }
  return names.length === 0 ? PARTS : PARTS.filter(({ name }) => names.includes(name));
}

async function main(): Promise<number> {
  const startedMs = performance.now();
  const parts = chosen(process.argv.slice(2));
  // The files that buf reads besides ours. Written only if they changed.
  const missing = await failures("node", "scripts/third-party-protos.ts");
  if (missing.length > 0) throw new Failure(missing.join("\n"));
  const files = await projectFiles();
  const results = new Map<string, readonly string[]>();
  const queue = [...parts];
  const worker = async () => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      results.set(part.name, await runPart(part, files));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));

  const failed = parts.filter(({ name }) => (results.get(name) ?? []).length > 0);
  for (const { name } of failed) {
    const lines = results.get(name) ?? [];
    console.log(`\n${styleText("bold", name)}`);
    for (const line of lines.slice(0, LINES_SHOWN_MAX)) console.log(`  ${line}`);
    if (lines.length > LINES_SHOWN_MAX) console.log(`  … ${lines.length - LINES_SHOWN_MAX} more`);
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const good = parts.length - failed.length;
  console.log(`\ncheck: ${good} of ${parts.length} parts passed in ${seconds} s`);
  return failed.length > 0 ? 1 : 0;
}

await runProgram("check", main);
