import { CommanderError } from "commander";
import type { CliContext } from "./context.ts";
import { newContext } from "./context.ts";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { RESOURCES } from "./resource/all.ts";
import { newProgram, operandsOf } from "./root-command.ts";
import type { GlobalFlags } from "./settings.ts";
import { addCommands } from "./top-commands.ts";

/**
 * Runs one command line, without the program's own name, and resolves to its exit code. Never throws for a
 * mistake of the user or a failure of the server.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  if (argv[0] === "__complete") {
    return await (await import("./complete.ts")).complete(argv.slice(1), io);
  }
  const program = newProgram(io);
  const cli = newContext(io, RESOURCES, () => program.opts<GlobalFlags>());
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
  // Such as a sign-in that ended during a long command.
  if (reason.cause instanceof CliError) return await exitCodeOf(cli, reason.cause);
  const { explainFailure, lacksProject } = await import("./failure.ts");
  const connection = await cli.connection();
  const failure = explainFailure(reason, connection);
  for (const line of failure.lines) cli.say(line);
  if (lacksProject(reason, connection)) {
    const own = await (await import("./own-projects.ts")).ownProjects(cli);
    if (own !== undefined) cli.say(own);
  }
  return failure.exitCode;
}
