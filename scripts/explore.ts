// npm run explore: looks for new faults. Runs what draws from a seed again and again, each time with
// another one, until something fails or --rounds are over, and says how to have it happen again.
//
//   npm run explore -- --rounds 10
//   npm run explore -- --ops 200000       # a longer simulation in each round
//   npm run explore -- src/util           # property tests of that folder alone
import { randomInt } from "node:crypto";
import process from "node:process";
import { parseArgs } from "node:util";
import { runProgram, wrongUse } from "./run-program.ts";
import { runShown, runTests } from "./run-shown.ts";

const SEEDS_MAX = 2 ** 31;
/** Where tests draw what they try; the simulation has a run of its own. */
const FOLDERS = ["src", "cli"];

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw wrongUse(`--${option}: "${text}" is no whole number from 1`);
}

async function isWell(seed: number, ops: number, folders: readonly string[]): Promise<boolean> {
  process.env["N0_SEED"] = String(seed);
  if (!(await runTests("--project", "unit", "--reporter=dot", ...folders))) {
    console.error(
      `to have it happen again: N0_SEED=${seed} npm run test:unit -- ${folders.join(" ")}`,
    );
    return false;
  }
  // It says by itself how to have it happen again.
  return await runShown("node", "test/sim/main.ts", "--seed", String(seed), "--ops", String(ops));
}

await runProgram("explore", async () => {
  const options = {
    rounds: { type: "string", default: "1000000" },
    ops: { type: "string", default: "20000" },
  } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const folders = positionals.length === 0 ? FOLDERS : positionals;
  const rounds = wholeNumber("rounds", values.rounds);
  const ops = wholeNumber("ops", values.ops);
  for (let round = 1; round <= rounds; round++) {
    const seed = randomInt(SEEDS_MAX);
    console.log(`round ${round}, seed ${seed}`);
    if (!(await isWell(seed, ops, folders))) return 1;
  }
  return 0;
});
