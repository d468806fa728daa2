// npm run explore: looks for new faults. Runs every suite that draws what it tries from a seed, each time
// with another seed, until the minutes are over. A suite that has found something is not run again. At the
// end it says which seeds found something, and how to repeat them. A finding becomes a named test.
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { projectFiles } from "./check/run.ts";
import { runProgram, wrongUse } from "./run-program.ts";
import { runShown, runTests } from "./run-shown.ts";

const SEEDS_MAX = 2 ** 31;

/** Returns whether the suite passes with this seed. It reads N0_SEED if the seed is not an argument. */
type Suite = (seed: string, folders: readonly string[]) => Promise<boolean>;

const SUITES: Readonly<Record<string, Suite>> = {
  properties: async (_, folders) =>
    await runTests("--project", "unit", "--reporter=dot", ...(await propertyTests(folders))),
  simulation: (seed) => runShown("node", "test/sim/main.ts", "--seed", seed),
  late: (seed) => runShown("node", "test/sim/main.ts", "--seed", seed, "--late"),
  attack: (seed) => runShown("node", "test/attack/main.ts", "--seed", seed, "--seconds", "60"),
  crash: () => runShown("node", "scripts/test-crash.ts"),
};
const NEEDS_ROOT = ["crash"];

const HELP = `Usage: npm run explore -- [--minutes N] [--only SUITE,…] [--seed N] [FOLDER…]

  --minutes  a suite that has begun is finished; 60 unless told
  --only     these suites alone: ${Object.keys(SUITES).join(", ")}
  --seed     runs each suite once, with this seed
  FOLDER     the property tests of these folders or files alone

Ends with 1 when something was found.
`;

async function propertyTests(folders: readonly string[]): Promise<readonly string[]> {
  const tests = (await projectFiles()).filter(
    (path) => path.endsWith(".test.ts") && readFileSync(path, "utf8").includes('/properties.ts"'),
  );
  if (folders.length === 0) return tests;
  const chosen = tests.filter((path) => folders.some((folder) => path.startsWith(folder)));
  if (chosen.length === 0) throw wrongUse(`there is no property test in ${folders.join(", ")}`);
  return chosen;
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw wrongUse(`--${option}: "${text}" is not a whole number from 1 on`);
}

function chosen(only: string | undefined): string[] {
  const names = only?.split(",") ?? Object.keys(SUITES);
  const unknown = names.find((name) => !Object.hasOwn(SUITES, name));
  if (unknown !== undefined) throw wrongUse(`--only: there is no suite "${unknown}"; see --help`);
  if (only !== undefined || process.getuid?.() === 0) return names;
  const skipped = names.filter((name) => NEEDS_ROOT.includes(name));
  if (skipped.length > 0) console.warn(`SKIPPED: ${skipped.join(", ")}, which need root`);
  return names.filter((name) => !skipped.includes(name));
}

/** Runs the suites with one seed. Returns how to repeat each finding, by its suite. */
async function round(
  names: readonly string[],
  seed: number,
  folders: readonly string[],
  goesOn: () => boolean,
): Promise<ReadonlyMap<string, string>> {
  process.env["N0_SEED"] = String(seed);
  const found = new Map<string, string>();
  for (const name of names) {
    if (!goesOn()) break;
    console.log(`== ${name}, seed ${seed}`);
    if (await SUITES[name]?.(String(seed), folders)) continue;
    const what = folders.length > 0 ? folders.join(" ") : `--only ${name}`;
    found.set(name, `npm run explore -- --seed ${seed} ${what}`);
  }
  return found;
}

await runProgram("explore", async () => {
  const { values, positionals: folders } = parseArgs({
    allowPositionals: true,
    options: {
      minutes: { type: "string", default: "60" },
      only: { type: "string" },
      seed: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const endMs = performance.now() + wholeNumber("minutes", values.minutes) * 60_000;
  let names = folders.length > 0 ? ["properties"] : chosen(values.only);
  const found = new Map<string, string>();
  if (values.seed !== undefined) {
    const seed = wholeNumber("seed", values.seed);
    for (const [name, command] of await round(names, seed, folders, () => true))
      found.set(name, command);
    names = [];
  }
  const goesOn = () => names.length > 0 && performance.now() < endMs;
  while (goesOn()) {
    const seed = randomInt(1, SEEDS_MAX);
    for (const [name, command] of await round(names, seed, folders, goesOn))
      found.set(name, command);
    names = names.filter((name) => !found.has(name));
  }
  for (const [name, command] of found)
    console.error(`${name}: found something; again:\n  ${command}`);
  if (found.size === 0) console.log("nothing was found");
  return found.size === 0 ? 0 : 1;
});
