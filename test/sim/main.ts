// Runs the whole control plane on virtual time, with seeded faults: npm run sim -- --seed 7 --ops 100000
import { parseArgs } from "node:util";
import { runProgram, wrongUse } from "../../scripts/run-program.ts";
import { defined } from "../../src/util/defined.ts";
import { SEED } from "../seeds.ts";
import { BUGS } from "./bugs.ts";
import { shrink } from "./shrink.ts";
import { type Coverage, type Result, type SimulationOptions, simulate } from "./simulation.ts";

const HELP = `Usage: npm run sim -- [--seed N] [--ops N] [--nodes N] [--clients N] [--keep N,…] [--late] [--trace] [--bug NAME]

  --seed     what everything is drawn from; ${SEED} unless told
  --ops      requests that the clients send, 20000 unless told
  --nodes    3 unless told
  --clients  8 unless told
  --keep     leaves out all but these requests and faults, as a shrunk failure names them: 3,7-9
  --late     the API sees each write some time later, as a datastore on another node does it
  --trace    prints all that happens
  --bug      plants a bug, to see how it is found: ${BUGS.map(({ name }) => `"${name}"`).join(", ")}

Ends with 1 when something was wrong, having said what, and how to have it happen again.
`;

const PROGRESS_EVERY_MS = 5_000;
const SHRINK = { runsMax: 2_000, ms: 120_000 };

function readOptions(): SimulationOptions & { readonly trace: boolean } {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      ops: { type: "string" },
      nodes: { type: "string" },
      clients: { type: "string" },
      keep: { type: "string" },
      late: { type: "boolean" },
      trace: { type: "boolean" },
      bug: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const bug = BUGS.find(({ name }) => name === values.bug);
  if (values.bug !== undefined && bug === undefined) {
    throw wrongUse(`--bug: there is none "${values.bug}"; see --help`);
  }
  return {
    seed: numberOf("seed", values.seed ?? String(SEED), 0),
    ops: numberOf("ops", values.ops ?? "20000", 1),
    nodes: numberOf("nodes", values.nodes ?? "3", 1),
    clients: numberOf("clients", values.clients ?? "8", 1),
    trace: values.trace === true,
    deliversLate: values.late === true,
    ...(values.keep === undefined
      ? {}
      : { keep: new Set(values.keep.split(",").flatMap(numbersOf)) }),
    ...defined({ bug, favours: bug?.favours }),
  };
}

function numberOf(option: string, text: string, min: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw wrongUse(`--${option}: "${text}" is not a whole number from ${min} on`);
}

/** Parses a number, or a range such as `7-9`. */
function numbersOf(text: string): number[] {
  const [first = "", last = first, ...rest] = text.split("-");
  if (rest.length > 0) throw wrongUse(`--keep: "${text}" is not a range`);
  const from = numberOf("keep", first, 0);
  return Array.from({ length: numberOf("keep", last, from) - from + 1 }, (_, i) => from + i);
}

function inRanges(numbers: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] + 1 === number) range[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join();
}

function commandOf(options: SimulationOptions, keep: readonly number[]) {
  const { seed, ops, nodes, clients, bug, deliversLate } = options;
  const scale = `--seed ${seed} --ops ${ops} --nodes ${nodes} --clients ${clients}`;
  const planted = bug === undefined ? "" : ` --bug "${bug.name}"`;
  return `npm run sim -- ${scale}${planted}${deliversLate === true ? " --late" : ""}${keep.length === 0 ? "" : ` --keep ${inRanges(keep)}`}`;
}

function printCoverage({
  committed,
  unwound,
  neededOperator,
  refused,
  faults,
  points,
  ...rest
}: Coverage): void {
  const line = (what: string, counts: ReadonlyMap<string, number>) => {
    const sorted = [...counts].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    console.log(`${what}: ${sorted.map(([name, times]) => `${name} ${times}`).join(", ")}`);
  };
  line("committed", committed);
  line("unwound", unwound);
  line("needed an operator", neededOperator);
  line("refused", refused);
  line("faults", faults);
  line("points passed", points);
  const { crashes, recovered } = rest;
  console.log(`the API died ${crashes} times and took over ${recovered} open transactions`);
}

function printFailure(result: Result): void {
  for (const violation of result.violations.slice(0, 20)) console.log(`  ${violation}`);
  const more = result.violations.length - 20;
  if (more > 0) console.log(`  and ${more} more`);
}

async function main(): Promise<number> {
  const { trace, ...options } = readOptions();
  const startedMs = performance.now();
  const rate = (ops: number) => ((ops * 1000) / (performance.now() - startedMs)).toFixed(0);
  console.log(`seed ${options.seed}: ${options.ops} requests, ${options.nodes} nodes`);
  let toldMs = startedMs;
  const result = await simulate({
    ...options,
    onRound: ({ ops, virtualMs }) => {
      if (performance.now() - toldMs < PROGRESS_EVERY_MS) return;
      toldMs = performance.now();
      console.log(
        `${ops} done, ${rate(ops)}/s, ${(virtualMs / 60_000).toFixed(0)} virtual minutes`,
      );
    },
    ...(trace ? { onLine: (line: string) => console.log(line) } : {}),
  });
  printCoverage(result.coverage);
  const virtual = (result.virtualMs / 60_000).toFixed(0);
  console.log(
    `${result.ops} requests in ${virtual} virtual minutes, ${rate(result.ops)}/s, trace ${result.traceHash}`,
  );
  if (result.violations.length === 0) {
    console.log(`seed ${options.seed}: all is as it must be`);
    return 0;
  }
  console.log(`seed ${options.seed}: WRONG after ${result.ops} requests`);
  printFailure(result);
  console.log("leaving out what it does not take, which takes a while…");
  const shrunk = await shrink(options, result, SHRINK);
  console.log(`${shrunk.keep.length} requests and faults are left:`);
  for (const line of shrunk.result.lastLines) console.log(`  ${line}`);
  printFailure(shrunk.result);
  const keep = shrunk.result === result ? [] : shrunk.keep;
  console.log(`to have it happen again:\n  ${commandOf(options, keep)} --trace`);
  return 1;
}

await runProgram("sim", main);
