// npm run lab: several hosts on this computer, each with libvirtd and an agent of its own, and an API that they
// have joined. See docs/operating/lab.md.
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { mustBeRoot } from "../prepared-host.ts";
import { elapsedSeconds } from "../quickstart/progress.ts";
import { Failure, runProgram, wrongUse } from "../run-program.ts";
import { findLab } from "./claim.ts";
import { down } from "./down.ts";
import { commandOn } from "./host.ts";
import { configHomeOf, type Host, hostsOf, type Lab, NODES_MAX, PROJECT } from "./lab.ts";
import { lockLab } from "./lock.ts";
import { cut, heal, readCuts } from "./network.ts";
import { POWER } from "./power.ts";
import { n0cliEnvironment } from "./programs.ts";
import { showStatus } from "./status.ts";
import { up } from "./up.ts";

const USAGE = `Several hosts on this computer: a network namespace each, with libvirtd, an agent and files of its own. The
API is on a host too, called api. See docs/operating/lab.md.

  npm run lab -- up --nodes 3      brings it up, or what is missing of it; can be repeated
  npm run lab -- status            shows the hosts, and says what is broken
  npm run lab -- exec node-1 CMD…  runs a command on a host
  npm run lab -- cut node-1 api    drops all packets between two hosts
  npm run lab -- heal node-1 api   lets them pass again
  npm run lab -- freeze node-1     stops all processes of a host (SIGSTOP)
  npm run lab -- thaw node-1       lets them go on
  npm run lab -- kill node-1       ends all processes of a host, as a power cut does; its files stay
  npm run lab -- start node-1      boots it again, or starts what does not run there
  npm run lab -- down              removes all of it, whatever has died

  --nodes N        how many nodes, from 1 to ${NODES_MAX} (default: 3)
  --folder FOLDER  the files of the lab (default: .cache/lab); each folder is a lab of its own

Options come before exec. Needs Debian 12 and root.
Exit code of status: 3 if something is broken. Exit code of exec: that of the command.`;

const EXIT_BROKEN = 3;

interface Call {
  readonly folder: string;
  readonly nodes: string;
  readonly words: readonly string[];
}

type Command = (call: Call) => Promise<number>;

const COMMANDS: Readonly<Record<string, Command>> = {
  up: changing(async ({ folder, nodes }) => {
    const lab = await up(folder, nodeCount(nodes));
    console.log();
    await showStatus(lab);
    console.log(summary(lab));
  }),
  status: async ({ folder }) => ((await showStatus(labIn(folder))) ? 0 : EXIT_BROKEN),
  exec: async ({ folder, words: [name = "", ...command] }) => {
    if (command.length === 0)
      throw wrongUse("exec needs a host and a command, such as: exec node-1 virsh list");
    return await runHere(labIn(folder), commandOn(hostIn(folder, name), command, PROJECT));
  },
  cut: changing(async ({ folder, words }) => {
    const [a, b] = pairIn(folder, "cut", words);
    await cut(labIn(folder), a, b);
    console.log(`${a} and ${b} are cut`);
  }),
  heal: changing(async ({ folder, words }) => {
    const [a, b] = pairIn(folder, "heal", words);
    const cuts = await readCuts(labIn(folder));
    const isCut = cuts.some((pair) => pair.includes(a) && pair.includes(b));
    if (isCut) await heal(labIn(folder), a, b);
    console.log(isCut ? `${a} and ${b} are connected again` : `${a} and ${b} were not cut`);
  }),
  ...Object.fromEntries(
    Object.entries(POWER).map(([verb, work]) => [
      verb,
      changing(async ({ folder, words }) => {
        const [name = "", ...more] = words;
        if (name === "" || more.length > 0)
          throw wrongUse(`${verb} needs one host, such as: ${verb} node-1`);
        console.log(await work(hostIn(folder, name)));
      }),
    ]),
  ),
  down: changing(async ({ folder }) => {
    const isThere = await down(folder);
    console.log(
      isThere
        ? `The lab is gone. This leaves the Debian packages, and .cache/images with the image.`
        : `There is no lab in ${folder}.`,
    );
  }),
};

/** A command that no other may run beside on the same lab. */
function changing(work: (call: Call) => Promise<void>): Command {
  return async (call) => {
    await using _ = await lockLab(call.folder);
    await work(call);
    return 0;
  };
}

function labIn(folder: string): Lab {
  const lab = findLab(folder);
  if (lab === undefined)
    throw new Failure(`there is no lab in ${folder}; npm run lab -- up makes one`);
  return lab;
}

function hostIn(folder: string, name: string): Host {
  const hosts = hostsOf(labIn(folder));
  const host = hosts.find((one) => one.name === name);
  if (host !== undefined) return host;
  throw wrongUse(
    `there is no host "${name}"; there are ${hosts.map((one) => one.name).join(", ")}`,
  );
}

function pairIn(folder: string, verb: string, words: readonly string[]): readonly [string, string] {
  const [a = "", b = "", ...more] = words;
  if (b === "" || more.length > 0 || a === b) {
    throw wrongUse(`${verb} needs two hosts, such as: ${verb} node-1 api`);
  }
  return [hostIn(folder, a).name, hostIn(folder, b).name];
}

function nodeCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1 && count <= NODES_MAX) return count;
  throw wrongUse(`--nodes: "${text}" is not a whole number from 1 to ${NODES_MAX}`);
}

/** Runs a program with this one's streams. */
async function runHere(lab: Lab, [file = "", ...args]: readonly string[]): Promise<number> {
  const child = spawn(file, args, { stdio: "inherit", env: n0cliEnvironment(lab) });
  // A terminal sends its interrupt to the program too, which decides.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  const { promise, resolve: done, reject } = Promise.withResolvers<number>();
  child.on("error", reject).on("close", (code) => done(code ?? 1));
  const code = await promise;
  process.off("SIGINT", ignore);
  return code;
}

function summary(lab: Lab): string {
  return `
Done in ${elapsedSeconds().toFixed(0)} s. n0cli uses this lab with
  export XDG_CONFIG_HOME=${configHomeOf(lab)}
and then, for a first virtual machine:
  bin/n0cli do examples/boot-vm.yaml`;
}

/** The arguments of exec belong to the command, from its name on. */
function readArguments(
  given: readonly string[],
): { readonly verb: string } & Call & { readonly help: boolean } {
  const at = given.indexOf("exec");
  const own = at < 0 ? given : given.slice(0, at + 2);
  const { values, positionals } = parseArgs({
    args: [...own],
    allowPositionals: true,
    options: {
      nodes: { type: "string", default: "3" },
      folder: { type: "string", default: join(PROJECT, ".cache/lab") },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [verb = "", ...words] = positionals;
  const rest = at < 0 ? [] : given.slice(at + 2);
  const command = rest[0] === "--" ? rest.slice(1) : rest;
  return { ...values, folder: resolve(values.folder), verb, words: [...words, ...command] };
}

async function main(): Promise<number> {
  const { verb, help, ...call } = readArguments(process.argv.slice(2));
  if (help || verb === "") {
    console.log(USAGE);
    return help ? 0 : 2;
  }
  const command = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined;
  if (command === undefined) throw wrongUse(`there is no command "${verb}"\n\n${USAGE}`);
  mustBeRoot("lab", ` -- ${verb}`);
  return await command(call);
}

await runProgram("lab", main);
