import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Command, InvalidArgumentError, Option } from "commander";
import {
  ListTransactionsRequestSchema,
  ListTransactionsResponseSchema,
  type Phase,
  type Transaction,
  TransactionSchema,
  TransactionService,
} from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { formatValue, messageToJson } from "../output.ts";
import { findKind } from "../resource/kind.ts";
import type { Column } from "../table.ts";
import { cell, formatTable } from "../table.ts";
import { betweenMs, parseSince, timeText, tookText } from "../transaction/time.ts";
import { askerText, findPhase, PHASES, phaseText, waitText } from "../transaction/words.ts";

const LIMIT_DEFAULT = 100;
const PAGE_SIZE_MAX = 1000;

interface Flags {
  readonly open?: boolean;
  readonly state?: readonly Phase[];
  readonly rpc?: string;
  readonly resource?: string;
  readonly node?: string;
  readonly since?: string;
  readonly limit?: number;
  readonly allProjects?: boolean;
}

export function listCommand(cli: CliContext): Command {
  const command = new Command("list")
    .description("list transactions, the newest first")
    .option("--open", "only open transactions")
    .addOption(
      new Option("--state <state>", "only those in this state; may be repeated")
        .choices(PHASES)
        .argParser((text: string, before: readonly Phase[] | undefined) => [
          ...(before ?? []),
          chosen(text),
        ]),
    )
    .option("--rpc <name>", "only those of this method, such as CreateVirtualMachine")
    .option("--resource <resource>", "only those about this, such as vm/web-1 or network")
    .option("--node <name>", "only those that have a step on this node")
    .option(
      "--since <time>",
      "only those that began since then, such as 24h, 7d or 2026-11-21T15:30:00Z",
    )
    .option("--all-projects", "also those of other projects and of the system")
    .option(
      "--limit <count>",
      "at most this many, 0 for all; 100 unless --since is given",
      countFlag,
    );
  withExamples(command, [
    "tx list --open",
    "tx list --since 24h",
    "tx list --state needs_operator",
    "tx list --resource vm/web-1 --since 7d -o wide",
  ]);
  return command.action(async (flags: Flags) => await list(cli, flags));
}

/** commander does not check the choices of an option with an argParser. */
function chosen(text: string): Phase {
  const phase = findPhase(text);
  if (phase !== undefined) return phase;
  throw new InvalidArgumentError(`Allowed choices are ${PHASES.join(", ")}.`);
}

export function countFlag(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

async function list(cli: CliContext, flags: Flags): Promise<void> {
  const filter = filterOf(cli, flags);
  const limit = flags.limit ?? (flags.since === undefined ? LIMIT_DEFAULT : 0);
  const found: Transaction[] = [];
  let pageToken = "";
  do {
    const missing = limit === 0 ? PAGE_SIZE_MAX : limit - found.length;
    const pageSize = Math.min(missing, PAGE_SIZE_MAX);
    const request = create(ListTransactionsRequestSchema, { ...filter, pageSize, pageToken });
    const { listTransactions } = TransactionService.method;
    const page = await callUnary(cli, listTransactions, request);
    found.push(...page.transactions);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && (limit === 0 || found.length < limit));
  await print(cli, found);
  if (pageToken !== "")
    cli.say(`There are more: --limit 0 shows all, --since 24h those of the last day.`);
}

function filterOf(
  cli: CliContext,
  flags: Flags,
): MessageInitShape<typeof ListTransactionsRequestSchema> {
  const { open = false, state = [], rpc = "", resource = "", node = "", since } = flags;
  return {
    scope: flags.allProjects === true ? "system" : "",
    openOnly: open,
    phases: [...state],
    rpc,
    resource: spelledOut(cli, resource),
    node,
    ...(since === undefined
      ? {}
      : { since: timestampFromDate(new Date(parseSince(since, cli.io.clock.nowMs()))) }),
  };
}

/** `vm/web` is `virtual_machine/web`. */
function spelledOut(cli: CliContext, resource: string): string {
  const [kind = "", ...name] = resource.split("/");
  return [findKind(cli.kinds, kind)?.name ?? kind, ...name].join("/");
}

const COLUMNS: readonly Column[] = [
  cell("id"),
  { ...cell("rpc"), header: "METHOD" },
  cell("resource"),
  cell("phase"),
  cell("started"),
  cell("took"),
  { ...cell("waits_for"), isRare: true },
  { ...cell("asked_by"), isWide: true },
  { ...cell("nodes"), isWide: true },
  { ...cell("error"), isWide: true },
];

async function print(cli: CliContext, transactions: readonly Transaction[]): Promise<void> {
  const format = cli.format();
  const { stdout, clock } = cli.io;
  if (format === "json" || format === "yaml") {
    const answer = create(ListTransactionsResponseSchema, { transactions: [...transactions] });
    stdout.print(await formatValue(format, messageToJson(ListTransactionsResponseSchema, answer)));
  } else if (format === "jsonl") {
    for (const one of transactions) {
      stdout.print(await formatValue(format, messageToJson(TransactionSchema, one)));
    }
  } else if (format === "name") stdout.print(transactions.map(({ id }) => `${id}\n`).join(""));
  else if (transactions.length === 0) cli.say("No transaction matches.");
  else {
    const rows = transactions.map((one) => rowOf(one, clock.nowMs()));
    stdout.print(formatTable(COLUMNS, format === "wide", rows));
  }
}

function rowOf(transaction: Transaction, nowMs: number) {
  const { startedAt, finishedAt, hindrance, error } = transaction;
  return {
    id: transaction.id,
    rpc: transaction.rpc,
    resource: transaction.resources[0] ?? "",
    phase: phaseText(transaction.phase),
    started: timeText(startedAt),
    took: tookText(betweenMs(startedAt, finishedAt, nowMs)),
    waits_for: waitText(transaction.wait, nowMs),
    asked_by: askerText(transaction.asker),
    nodes: transaction.nodes,
    error: hindrance === "" ? error : hindrance,
  };
}
