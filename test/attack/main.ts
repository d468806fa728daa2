// Attacks servers of its own on loopback, as a stranger and as a user: npm run attack -- --seconds 60
import { spawnSync } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";
import { prepareOrEnd } from "../../scripts/prepared-host.ts";
import { Failure, runProgram, wrongUse } from "../../scripts/run-program.ts";
import { SEED } from "../seeds.ts";
import { formatFinding } from "./findings.ts";
import { ATTACKS, attackServers } from "./run.ts";

const HELP = `Usage: npm run attack -- [--seconds N] [--seed N] [--only NAME,…]

  --seconds  how long the attacks take in all, 300 unless told; starting and checking come on top
  --seed     what is sent is drawn from it; ${SEED} unless told
  --only     these attacks alone: ${ATTACKS.map(({ name }) => name).join(", ")}

Starts an API and two agents on loopback, each held to 512 MiB of memory, with real disks and with fake
virtual machines and networks. Ends with 1 when a server did what it must not, having said what was sent.
`;

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw wrongUse(`--${option}: "${text}" is not a whole number from 1 on`);
}

function chosen(only: string | undefined) {
  const names = only?.split(",");
  const unknown = names?.find((name) => !ATTACKS.some((attack) => attack.name === name));
  if (unknown !== undefined) throw wrongUse(`--only: there is no attack "${unknown}"; see --help`);
  return names === undefined ? ATTACKS : ATTACKS.filter(({ name }) => names.includes(name));
}

/** Volumes are real files, so their program must exist. */
async function prepare(): Promise<void> {
  if (spawnSync("qemu-img", ["--version"], { stdio: "ignore" }).status === 0) return;
  if (process.getuid?.() !== 0) {
    throw new Failure("qemu-img is missing: sudo apt-get install qemu-utils");
  }
  await prepareOrEnd("qemu-img", "scripts/host/ensure-packages.sh", "qemu-utils");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "300" },
      seed: { type: "string", default: String(SEED) },
      only: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const seconds = wholeNumber("seconds", values.seconds);
  const seed = wholeNumber("seed", values.seed);
  const attacks = chosen(values.only);
  await prepare();
  const say = (line: string) => console.log(line);
  const findings = await attackServers({ seconds, seed, attacks, say });
  if (findings.length === 0) {
    say("the servers stood");
    return 0;
  }
  say(
    `\n${findings.length} findings; to have them again: npm run attack -- --seed ${seed} --seconds ${seconds}`,
  );
  for (const finding of findings) say(`\n${formatFinding(finding)}`);
  return 1;
}

await runProgram("attack", main);
