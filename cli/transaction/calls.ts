import { create } from "@bufbuild/protobuf";
import {
  GetTransactionRequestSchema,
  type Transaction,
  TransactionSchema,
  TransactionService,
  WatchTransactionsRequestSchema,
} from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { callStream, callUnary, only } from "../call.ts";
import type { CliContext } from "../context.ts";
import { formatValue, messageToJson } from "../output.ts";
import { timeline } from "./timeline.ts";

export async function getTransaction(cli: CliContext, id: string): Promise<Transaction> {
  const request = create(GetTransactionRequestSchema, { id });
  const { transaction } = await callUnary(cli, TransactionService.method.getTransaction, request);
  return transaction ?? create(TransactionSchema);
}

/** Each transaction, or each change of one, as the API sends them. */
export async function* watchTransactions(cli: CliContext, id: string) {
  const request = create(WatchTransactionsRequestSchema, { id });
  yield* await callStream(cli, TransactionService.method.watchTransactions, only(request));
}

/** One transaction with its steps, in the requested format. */
export async function printTransaction(cli: CliContext, transaction: Transaction): Promise<void> {
  const format = cli.format();
  const { stdout, clock } = cli.io;
  if (format === "name") stdout.print(`${transaction.id}\n`);
  else if (format === "table" || format === "wide") {
    stdout.print(timeline(transaction, clock.nowMs()));
  } else stdout.print(await formatValue(format, messageToJson(TransactionSchema, transaction)));
}
