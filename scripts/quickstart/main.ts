// npm run quickstart: from nothing to a virtual machine on this host that answers on SSH.
import process from "node:process";
import { mustBeRoot } from "../prepared-host.ts";
import { runProgram, wrongUse } from "../run-program.ts";
import { down } from "./down.ts";
import { QuickstartError } from "./progress.ts";
import { up } from "./up.ts";

const USAGE = `Examples:
  npm run quickstart             boots the virtual machine of examples/boot-vm.yaml on this machine
  npm run quickstart -- --down   removes all that this made, and only that

Needs Debian 12 and root. Can be run again at any time.`;

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  const isDown = args.length === 1 && args[0] === "--down";
  if (args.length > 0 && !isDown) {
    throw wrongUse(`unknown argument ${args.join(" ")}\n\n${USAGE}`);
  }
  mustBeRoot("quickstart", isDown ? " -- --down" : "");
  try {
    await (isDown ? down() : up());
    return 0;
  } catch (error) {
    if (!(error instanceof QuickstartError)) throw error;
    console.error(`\nquickstart: ${error.message}`);
    console.error("Run it again to go on, or with -- --down to remove what it made.");
    return 1;
  }
}

await runProgram("quickstart", main);
