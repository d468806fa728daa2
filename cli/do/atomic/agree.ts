import type { CliContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { EXIT } from "../../exit-code.ts";
import { readLine } from "../../input.ts";

/** Asks whether to do what was shown. @throws CliError unless the user types yes. */
export async function agree(cli: CliContext): Promise<void> {
  cli.say("To do this as one transaction, type yes:");
  if ((await readLine(cli.io.stdin, cli.signal)) === "yes") return;
  throw new CliError("nothing was changed", cli.signal.aborted ? EXIT.interrupted : EXIT.failed);
}
