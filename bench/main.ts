// Measures the figures of docs/bench.md, each compared with its floor in the same run; npm run bench -- --list
// names them. Prepares the host if a measurement starts real virtual machines; the others need no preparation.
import process from "node:process";
import { fileURLToPath } from "node:url";
import { mustBeRoot, onPreparedHost, prepareOrEnd } from "../scripts/prepared-host.ts";
import { runProgram } from "../scripts/run-program.ts";
import { runShown } from "../scripts/run-shown.ts";
import { measurements } from "./measurements.ts";
import { RUNS_MIN, readOptions } from "./options.ts";

const ON_NODE = measurements.filter(({ isOnNode }) => isOnNode === true).map(({ name }) => name);

const HELP = `Usage: npm run bench -- [--only NAME,…] [--runs N] [--json FILE] [--write] [--list]

  --only   measures these alone
  --runs   how often each is measured, the median counts; default and least for the bars: ${RUNS_MIN}
  --json   also writes the numbers to a file
  --write  also writes docs/bench.md
  --list   prints the names and measures nothing

These need root, and prepare libvirt and QEMU: ${ON_NODE.join(", ")}.
`;

async function main(): Promise<number> {
  const { chosen, list, help } = readOptions();
  if (help) return print(HELP);
  if (list) return print(`${measurements.map(({ name }) => name).join("\n")}\n`);
  // A process of its own: it gets the signal first, and removes what it made while libvirtd still runs.
  const child = fileURLToPath(new URL("measure-child.ts", import.meta.url));
  const measure = () => runShown(process.execPath, child, ...process.argv.slice(2));
  const onNode = chosen.map(({ name }) => name).filter((name) => ON_NODE.includes(name));
  if (onNode.length === 0) return (await measure()) ? 0 : 1;
  mustBeRoot("bench", `; or use --only without ${onNode.join(", ")}`);
  return (await onPreparedHost(prepareOrEnd, ["node"], measure)) ? 0 : 1;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

await runProgram("bench", main);
