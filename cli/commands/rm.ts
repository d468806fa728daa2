import { Command } from "commander";
import { BlockStorage_BlockStorageState as State } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { quote } from "../../src/util/quote.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { readLine } from "../input.ts";
import { completeNames } from "../resource/commands.ts";
import { loadResource } from "../resource/resource.ts";
import { virtualMachine } from "../resource/virtual-machine.ts";
import { execute, plan } from "../run/execute.ts";
import { type Pair, pairOf } from "../run/look.ts";
import { MADE_BY_RUN } from "../run/mark.ts";
import { rmFile } from "../run/tasks.ts";

interface Flags {
  readonly yes?: true;
  readonly plan?: true;
}

export async function rmCommand(cli: CliContext): Promise<Command> {
  const command = new Command("rm")
    .description(
      "delete virtual machines that n0cli run made, with the block storages that it made for them",
    )
    .argument("<names...>")
    .option("--yes", "delete them without a question")
    .option("--plan", "print what it would do, and delete nothing; exit with 3");
  withExamples(command, ["rm web", "rm web --plan", "rm web-1 web-2 web-3 --yes"]);
  command.addHelpText("after", HELP);
  completeNames(command, await loadResource(virtualMachine));
  return command.action(async (given: readonly string[], flags: Flags) => {
    const names = [...new Set(given)];
    const isAsked = flags.yes !== true && flags.plan !== true;
    if (isAsked && !cli.io.stdin.isTerminal) {
      throw new CliError("nobody can be asked here: add --yes to delete them");
    }
    const pairs = new Map<string, Pair>();
    for (const name of names) pairs.set(name, madeByRun(name, await pairOf(cli, name)));
    if (isAsked) await ask(cli, pairs);
    const all = [...pairs];
    const unwanted = {
      virtualMachines: all.flatMap(([name, { vm }]) => (vm === undefined ? [] : [name])),
      blockStorages: all.flatMap(([name, { disk }]) =>
        disk === undefined ? [] : [{ name, isDeleted: disk.state === State.DELETED }],
      ),
    };
    const text = rmFile(unwanted);
    await (flags.plan === true ? plan(cli, "rm", text) : execute(cli, "rm", text));
  });
}

const HELP = `
Other block storages of the virtual machines stay, and so does the network, also if run made it. A block storage that
run made stays if another virtual machine uses it now.
With the name of a kind and of an object, such as n0cli rm network lab, rm is another word for n0cli delete.`;

/**
 * What of the pair run made, and nobody else uses.
 *
 * @throws CliError if run did not make the virtual machine, or there is nothing.
 */
function madeByRun(name: string, { vm, disk }: Pair): Pair {
  if (vm !== undefined && vm.annotations[MADE_BY_RUN] !== name) {
    throw new CliError(
      `n0cli run did not make virtual machine ${quote(name)}: delete it with n0cli vm delete ${name}. Nothing was deleted.`,
      EXIT.conflict,
    );
  }
  const isOwn =
    disk?.annotations[MADE_BY_RUN] === name &&
    (disk.usedBy === name || disk.state === State.AVAILABLE || disk.state === State.DELETED);
  if (vm !== undefined || isOwn) return { vm, disk: isOwn ? disk : undefined };
  throw new CliError(
    `n0cli run made nothing that is called ${quote(name)}: see n0cli get vm. Nothing was deleted.`,
    EXIT.notFound,
  );
}

async function ask(cli: CliContext, pairs: ReadonlyMap<string, Pair>): Promise<void> {
  for (const [name, { vm, disk }] of pairs) {
    const parts = [
      ...(vm === undefined ? [] : [`virtual machine ${name}`]),
      ...(disk === undefined ? [] : [`block storage ${name}`]),
    ];
    cli.say(`  ${parts.join(" and ")}`);
    const others = vm?.blockStorageNames.filter((one) => one !== name || disk === undefined) ?? [];
    if (others.length > 0) cli.say(`    (block storage ${others.join(", ")} stays)`);
  }
  cli.say("Their data is lost. To delete them, type yes:");
  if ((await readLine(cli.io.stdin, cli.signal)) === "yes") return;
  throw new CliError("nothing was deleted", cli.signal.aborted ? EXIT.interrupted : EXIT.failed);
}
