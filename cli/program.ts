import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { CliContext } from "./context.ts";
import { newContext } from "./context.ts";
import { CliError } from "./errors.ts";
import { withExamples } from "./examples.ts";
import { EXIT } from "./exit-code.ts";
import type { Io, Output } from "./io.ts";
import type { GlobalFlags } from "./settings.ts";
import { OUTPUT_FORMATS, parseDuration } from "./settings.ts";
import { clientVersion } from "./version.ts";

/** A top-level command, loaded only when it is the one that runs: start-up is most of what a short call costs. */
interface TopCommand {
  readonly names: readonly [string, ...string[]];
  readonly summary: string;
  /** `words` are those that follow its name. */
  load(cli: CliContext, words: readonly string[]): Promise<Command>;
}

const TOP_COMMANDS: readonly TopCommand[] = [
  {
    names: ["do"],
    summary: "run the tasks of YAML files in the order of their dependencies",
    load: async (cli) => (await import("./commands/do.ts")).doCommand(cli),
  },
  {
    names: ["get", "list", "ls"],
    summary: "show what there is",
    load: async (cli, words) => (await import("./commands/get.ts")).allGetCommand(cli, words),
  },
  {
    names: ["delete", "rm"],
    summary: "delete one thing",
    load: async (cli, words) => (await import("./commands/delete.ts")).allDeleteCommand(cli, words),
  },
  {
    names: ["virtual_machine", "vm"],
    summary: "virtual machines: create, boot, shut down, log in, …",
    load: async (cli) => (await import("./commands/virtual-machine.ts")).virtualMachineCommand(cli),
  },
  {
    names: ["block_storage", "bs"],
    summary: "disks: create, fetch, copy, grow, delete, download, …",
    load: async (cli) => (await import("./commands/block-storage.ts")).blockStorageCommand(cli),
  },
  {
    names: ["network", "net"],
    summary: "networks of virtual machines",
    load: async (cli) => (await import("./commands/network.ts")).networkCommand(cli),
  },
  {
    names: ["image"],
    summary: "names and tags for disks that others are made from",
    load: async (cli) => (await import("./commands/image.ts")).imageCommand(cli),
  },
  {
    names: ["node"],
    summary: "the machines of the cloud",
    load: async (cli) => (await import("./commands/node.ts")).nodeCommand(cli),
  },
  {
    names: ["user"],
    summary: "people and their SSH public keys",
    load: async (cli) => (await import("./commands/user.ts")).userCommand(cli),
  },
  {
    names: ["transaction", "tx"],
    summary: "what was asked for and how far it is: list, show, watch, cancel, retry, give up",
    load: async (cli) => (await import("./commands/tx.ts")).transactionCommand(cli),
  },
  {
    names: ["verify"],
    summary: "compare what is on the nodes with the records, and repair it",
    load: async (cli) => (await import("./commands/verify.ts")).verifyCommand(cli),
  },
  {
    names: ["api"],
    summary: "call any RPC",
    load: async (cli) => (await import("./commands/api.ts")).apiCommand(cli),
  },
  {
    names: ["context"],
    summary: "name the APIs that you use, and choose one",
    load: async (cli) => (await import("./commands/context.ts")).contextCommand(cli),
  },
  {
    names: ["completion"],
    summary: "print what makes a shell complete n0cli's words",
    load: async (cli) => (await import("./commands/completion.ts")).completionCommand(cli),
  },
  {
    names: ["version"],
    summary: "show the version of this client and of the server",
    load: async (cli) => (await import("./commands/version.ts")).versionCommand(cli),
  },
];

/**
 * Runs one command line, without the program's own name, and resolves to its exit code. Never throws for
 * what a user or a server did.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  if (argv[0] === "__complete") {
    return await (await import("./complete.ts")).complete(argv.slice(1), io);
  }
  const program = newProgram(io);
  const cli = newContext(io, () => program.opts<GlobalFlags>());
  try {
    const wanted = operandsOf(argv, io);
    await addCommands(program, cli, wanted[0] === "help" ? wanted.slice(1) : wanted);
    await program.parseAsync(argv, { from: "user" });
    return cli.signal.aborted && cli.exitCode === EXIT.done ? interrupted(cli) : cli.exitCode;
  } catch (reason) {
    if (cli.signal.aborted) return interrupted(cli);
    return await exitCodeOf(cli, reason);
  } finally {
    cli.close();
  }
}

/** The root with the flags that all commands take, and no commands yet. */
export function newProgram(io: Io): Command {
  const program = new Command("n0cli")
    .description("The client of n0stack.")
    .version(clientVersion(), "-V, --version", "print the version of this client")
    .helpOption("-h, --help", "show help, examples first")
    .option("--api-endpoint <endpoint>", "host:port of the API (N0CLI_API_ENDPOINT)")
    .addOption(new Option("--api-url <url>", "the same (N0CLI_API_URL)").hideHelp())
    .option("--context <name>", "use this context of the config file (N0CLI_CONTEXT)")
    .option(
      "--token-file <path>",
      "a file that holds your token (N0CLI_TOKEN_FILE; default on loopback: /var/lib/n0core/token)",
    )
    .option("--tls-ca <path>", "check the API's certificate with this PEM file (N0CLI_TLS_CA)")
    .option(
      "--timeout <duration>",
      "give up waiting for a call and its repeats, such as 30s or 5m",
      durationFlag,
    )
    .option(
      "--no-wait",
      "do not send a call again where the server asks to wait or the connection is lost",
    )
    .addOption(
      new Option(
        "-o, --output <format>",
        "how to print (default: table on a terminal, json in a pipe)",
      ).choices(OUTPUT_FORMATS),
    );
  withExamples(program, [
    "do examples/boot-vm.yaml",
    "get vm",
    "vm ssh example-vm -i examples/id_ed25519",
    "vm create --help",
  ]);
  return quiet(program, io);
}

function durationFlag(text: string): number {
  try {
    return parseDuration(text);
  } catch (reason) {
    throw new InvalidArgumentError(reason instanceof Error ? reason.message : "");
  }
}

/** Commander prints where it is told to and throws instead of ending the process. */
function quiet(command: Command, io: Io, path = "n0cli"): Command {
  command.exitOverride().configureOutput({
    writeOut: (text) => io.stdout.print(text),
    writeErr: (text) => io.stderr.print(text),
    getOutHelpWidth: () => (io.stdout.isTerminal ? io.stdout.columns : 100),
    getErrHelpWidth: () => (io.stderr.isTerminal ? io.stderr.columns : 100),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  command.showHelpAfterError(`(see ${path} --help)`);
  for (const child of command.commands) quiet(child, io, `${path} ${child.name()}`);
  return command;
}

/** The words of a command line that are neither flags of the root nor their values. */
export function operandsOf(argv: readonly string[], io: Io): readonly string[] {
  const scout = newProgram({ ...io, stdout: MUTE, stderr: MUTE });
  try {
    return scout.parseOptions([...argv]).operands;
  } catch {
    // A flag that is wrong, or --version: the real parse, which comes next, says it.
    return [];
  }
}

const MUTE: Output = { isTerminal: false, columns: 80, print: () => {}, send: async () => {} };

/** Adds all top commands by name, and the one that is wanted whole. */
export async function addCommands(program: Command, cli: CliContext, wanted: readonly string[]) {
  for (const top of TOP_COMMANDS) {
    const [name, ...aliases] = top.names;
    const isWanted = wanted[0] !== undefined && top.names.includes(wanted[0]);
    const command = isWanted
      ? await top.load(cli, wanted.slice(1))
      : new Command(name).aliases(aliases).description(top.summary);
    program.addCommand(quiet(command, cli.io, `n0cli ${isWanted ? wanted[0] : name}`));
  }
}

function interrupted(cli: CliContext): number {
  cli.say(cli.interruptNotice);
  return EXIT.interrupted;
}

async function exitCodeOf(cli: CliContext, reason: unknown): Promise<number> {
  if (reason instanceof CommanderError) {
    const isHelp = reason.exitCode === 0 || reason.code === "commander.help";
    return isHelp && reason.exitCode === 0 ? EXIT.done : EXIT.wrongUse;
  }
  if (reason instanceof CliError) {
    cli.say(reason.message);
    return reason.exitCode;
  }
  const { ConnectError } = await import("@connectrpc/connect");
  if (!(reason instanceof ConnectError)) throw reason;
  const { explainFailure } = await import("./failure.ts");
  const failure = explainFailure(reason, await cli.connection());
  for (const line of failure.lines) cli.say(line);
  return failure.exitCode;
}
