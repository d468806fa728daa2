import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { groupCommand } from "../rpc-command.ts";
import { getTransaction, printTransaction } from "../transaction/calls.ts";
import { cancelCommand, giveUpCommand, retryCommand } from "./tx-change.ts";
import { listCommand } from "./tx-list.ts";
import { watchCommand } from "./tx-watch.ts";

export function transactionCommand(cli: CliContext) {
  return groupCommand(
    ["transaction", "tx"],
    "what was asked for, how far it is, and what became of it",
    [
      listCommand(cli),
      showCommand(cli),
      watchCommand(cli),
      cancelCommand(cli),
      retryCommand(cli),
      giveUpCommand(cli),
    ],
    ["tx list --open", "tx list --since 24h", "tx show ID", "tx cancel ID"],
  );
}

function showCommand(cli: CliContext): Command {
  const command = new Command("show")
    .alias("get")
    .description("show one: who asked, what it waits for, and a line for each step")
    .argument("<id>");
  withExamples(command, [
    "tx show 0199c2f3a1b4-3f2a9c10-77e1",
    "tx show 0199c2f3a1b4-3f2a9c10-77e1 -o yaml",
  ]);
  return command.action(async (id: string) => {
    await printTransaction(cli, await getTransaction(cli, id));
  });
}
