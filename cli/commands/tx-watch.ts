import { Command } from "commander";
import {
  type Transaction,
  WatchTransactionsResponseSchema,
} from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { formatValue, messageToJson } from "../output.ts";
import { printable } from "../terminal-text.ts";
import { watchTransactions } from "../transaction/calls.ts";
import { exitCodeOf, isOver, phaseText, stateText } from "../transaction/words.ts";

export function watchCommand(cli: CliContext): Command {
  const command = new Command("watch")
    .description(
      "print each step of one transaction until it ends; without an id, each change of all",
    )
    .argument("[id]");
  withExamples(command, ["tx watch", "tx watch 0199c2f3a1b4-3f2a9c10-77e1"]);
  return command.action(async (id: string | undefined) => {
    const format = cli.format();
    const isTable = format === "table" || format === "wide" || format === "name";
    const lines = newLines(id === undefined);
    for await (const answer of watchTransactions(cli, id ?? "")) {
      const { transaction } = answer;
      if (!isTable) {
        const json = messageToJson(WatchTransactionsResponseSchema, answer);
        cli.io.stdout.print(await formatValue(format === "yaml" ? "yaml" : "jsonl", json));
      } else if (transaction !== undefined) cli.io.stdout.print(lines(transaction));
      if (id !== undefined && transaction !== undefined && isOver(transaction)) {
        cli.exitCode = exitCodeOf(transaction);
      }
    }
  });
}

/** Makes a line for each thing in a transaction that is new since the last call for it. */
export function newLines(isOfMany: boolean): (transaction: Transaction) => string {
  const seen = new Map<string, Set<string>>();
  return (transaction) => {
    const { id, rpc, resources } = transaction;
    const told = seen.get(id) ?? new Set<string>();
    seen.set(id, told);
    const prefix = isOfMany ? `${id}   ` : "";
    const lines = linesOf(transaction).filter((line) => !told.has(line));
    if (told.size === 0) lines.unshift(`${rpc} ${resources[0] ?? ""}`.trimEnd());
    for (const line of lines) told.add(line);
    if (isOver(transaction)) seen.delete(id);
    return lines.map((line) => `${prefix}${printable(line)}\n`).join("");
  };
}

function linesOf({ steps, phase, error, hindrance }: Transaction): string[] {
  const lines = steps.map(({ name, subject, node, state, undo, error: own }) => {
    const where = node === "" ? "" : ` on ${node}`;
    const last = undo === undefined || undo.error === "" ? own : undo.error;
    const why = last === "" ? "" : `: ${last}`;
    return `${stateText(state).padEnd(8)} ${name}${subject === "" ? "" : ` of ${subject}`}${where}${why}`;
  });
  const why = hindrance === "" ? error : hindrance;
  return [...lines, `${phaseText(phase)}${why === "" ? "" : `: ${why}`}`];
}
