import { Command, InvalidArgumentError, Option } from "commander";
import { withExamples } from "./examples.ts";
import type { Io, Output } from "./io.ts";
import { OUTPUT_FORMATS, parseTimeout } from "./settings.ts";
import { clientVersion } from "./version.ts";

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
    .option("--project <name>", "work in this project (N0CLI_PROJECT)")
    .option(
      "--timeout <duration>",
      "stop waiting for a call and its retries after this time, such as 30s or 5m",
      timeoutFlag,
    )
    .option(
      "--no-wait",
      "do not retry a call when the server asks to wait or the connection is lost",
    )
    .addOption(
      new Option(
        "-o, --output <format>",
        "output format (default: table on a terminal, json in a pipe)",
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

function timeoutFlag(text: string): number {
  try {
    return parseTimeout(text);
  } catch (reason) {
    throw new InvalidArgumentError(reason instanceof Error ? reason.message : "");
  }
}

/** Commander prints to the given streams, and throws instead of ending the process. */
export function quiet(command: Command, io: Io, path = "n0cli"): Command {
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

/** The words of a command line without the global flags and their values. */
export function operandsOf(argv: readonly string[], io: Io): readonly string[] {
  const scout = newProgram({ ...io, stdout: MUTE, stderr: MUTE });
  try {
    return scout.parseOptions([...argv]).operands;
  } catch {
    // A wrong flag, or --version: the real parse, which follows, reports it.
    return [];
  }
}

export const MUTE: Output = {
  isTerminal: false,
  columns: 80,
  print: () => {},
  send: async () => {},
};
