import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  ListTransactionsRequestSchema,
  TransactionService,
} from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { callUnary } from "../call.ts";
import { type Candidate, completeFirstArgument } from "../candidates.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { groupCommand } from "../rpc-command.ts";
import { getTransaction, printTransaction } from "../transaction/calls.ts";
import { cancelCommand, giveUpCommand, retryCommand, undoCommand } from "./tx-change.ts";
import { listCommand } from "./tx-list.ts";
import { watchCommand } from "./tx-watch.ts";

export function transactionCommand(cli: CliContext) {
  return groupCommand(
    ["transaction", "tx"],
    "transactions: each request that changes something, its progress and its end",
    [
      listCommand(cli),
      completeIds(showCommand(cli), false),
      completeIds(watchCommand(cli), true),
      completeIds(cancelCommand(cli), true),
      completeIds(retryCommand(cli), true),
      completeIds(giveUpCommand(cli), true),
      completeIds(undoCommand(cli), false),
    ],
    ["tx list --open", "tx list --since 24h", "tx show ID", "tx cancel ID"],
  );
}

function showCommand(cli: CliContext): Command {
  const command = new Command("show")
    .alias("get")
    .description("show one transaction: who asked for it, what it waits for, and each of its steps")
    .argument("<id>");
  withExamples(command, [
    "tx show 0199c2f3a1b4-3f2a9c10-77e1",
    "tx show 0199c2f3a1b4-3f2a9c10-77e1 -o yaml",
  ]);
  return command.action(async (id: string) => {
    await printTransaction(cli, await getTransaction(cli, id));
  });
}

/** A shell offers the newest transactions, or only those that are not at rest. */
function completeIds(command: Command, openOnly: boolean): Command {
  return completeFirstArgument(command, async (cli, signal) => {
    const { listTransactions } = TransactionService.method;
    const request = create(ListTransactionsRequestSchema, { openOnly });
    const { transactions } = await callUnary(cli, listTransactions, request, { signal });
    return transactions.map(
      ({ id, rpc, resources }): Candidate => [id, `${rpc} ${resources[0] ?? ""}`],
    );
  });
}
