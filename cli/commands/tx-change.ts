import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  CancelTransactionRequestSchema,
  GiveUpTransactionRequestSchema,
  Phase,
  RetryTransactionRequestSchema,
  type Step,
  type Transaction,
  TransactionSchema,
  TransactionService,
} from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { type UndoFlags, undo } from "../do/atomic/undo.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { getTransaction, printTransaction, watchTransactions } from "../transaction/calls.ts";
import { isOver } from "../transaction/words.ts";
import { newLines } from "./tx-watch.ts";

export function cancelCommand(cli: CliContext): Command {
  const command = new Command("cancel")
    .description("cancel a transaction that is not committed, and wait until it is unwound")
    .argument("<id>");
  withExamples(command, [
    "tx cancel 0199c2f3a1b4-3f2a9c10-77e1",
    "--no-wait tx cancel 0199c2f3a1b4-3f2a9c10-77e1",
  ]);
  return command.action(async (id: string) => {
    const request = create(CancelTransactionRequestSchema, { id });
    const { cancelTransaction } = TransactionService.method;
    const { transaction: decided } = await callUnary(cli, cancelTransaction, request);
    const transaction = await untilOver(cli, decided ?? create(TransactionSchema));
    await printTransaction(cli, transaction);
    if (transaction.phase === Phase.NEEDS_OPERATOR) cli.exitCode = EXIT.needsOperator;
  });
}

/** Follows the unwinding, with a line on stderr for each step. */
async function untilOver(cli: CliContext, decided: Transaction): Promise<Transaction> {
  if (isOver(decided) || cli.flags().wait === false) return decided;
  const lines = newLines(false);
  let last = decided;
  for await (const { transaction } of watchTransactions(cli, decided.id)) {
    if (transaction === undefined) continue;
    last = transaction;
    cli.io.stderr.print(lines(transaction));
  }
  return last;
}

export function retryCommand(cli: CliContext): Command {
  const command = new Command("retry")
    .description("retry at once a transaction that needs an operator, or waits for its next try")
    .argument("<id>");
  withExamples(command, ["tx list --state needs_operator", "tx retry 0199c2f3a1b4-3f2a9c10-77e1"]);
  return command.action(async (id: string) => {
    const request = create(RetryTransactionRequestSchema, { id });
    const { retryTransaction } = TransactionService.method;
    const { transaction } = await callUnary(cli, retryTransaction, request);
    await printTakenUp(cli, transaction ?? create(TransactionSchema));
  });
}

export function giveUpCommand(cli: CliContext): Command {
  const command = new Command("give-up")
    .description("give up the step that needs an operator, and continue the transaction without it")
    .argument("<id>")
    .option("--plan", "only say what would remain on the node");
  withExamples(command, [
    "tx give-up 0199c2f3a1b4-3f2a9c10-77e1 --plan",
    "tx give-up 0199c2f3a1b4-3f2a9c10-77e1",
  ]);
  return command.action(async (id: string, { plan = false }: { plan?: boolean }) => {
    const seen = await getTransaction(cli, id);
    const stuck = seen.steps.find(({ leaves }) => leaves !== "");
    if (plan) {
      cli.say(
        stuck === undefined
          ? "The transaction has no step that can be given up."
          : warning(stuck, "would remain"),
      );
      return;
    }
    const request = create(GiveUpTransactionRequestSchema, { id, step: stuck?.name ?? "" });
    const { giveUpTransaction } = TransactionService.method;
    const { transaction } = await callUnary(cli, giveUpTransaction, request);
    if (stuck !== undefined) cli.say(warning(stuck, "remains"));
    await printTakenUp(cli, transaction ?? create(TransactionSchema));
  });
}

export function undoCommand(cli: CliContext): Command {
  const command = new Command("undo")
    .description(
      "take back what a committed transaction has changed: show how, ask, and do it as one transaction",
    )
    .argument("<id>")
    .option("--plan", "only show what would happen; exit with 3 if that is anything")
    .option("--discard-data", "the data of block storages that it has made may be lost")
    .option("--restart", "virtual machines that run are restarted, where their change needs it")
    .option("--yes", "without a question");
  withExamples(command, [
    "tx list --since 1h",
    "tx undo 0199c2f3a1b4-3f2a9c10-77e1 --plan",
    "tx undo 0199c2f3a1b4-3f2a9c10-77e1 --discard-data --yes",
  ]);
  return command.action(async (id: string, flags: UndoFlags) => await undo(cli, id, flags));
}

function warning({ name, leaves }: Step, stays: string): string {
  return `Without ${name} this ${stays}: ${leaves}. "n0cli verify" finds it, and "n0cli verify --repair" repairs what it can.`;
}

/** Prints a transaction that continues, and sets the exit code of its end. */
async function printTakenUp(cli: CliContext, after: Transaction): Promise<void> {
  await printTransaction(cli, after);
  if (after.phase === Phase.NEEDS_OPERATOR) cli.exitCode = EXIT.needsOperator;
  else if (!isOver(after)) {
    cli.say(`The transaction is still running: see n0cli tx watch ${after.id}`);
    cli.exitCode = EXIT.timedOut;
  }
}
