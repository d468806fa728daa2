import { durationMs } from "@bufbuild/protobuf/wkt";
import type {
  Step,
  Transaction,
} from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { counted } from "../../src/util/counted.ts";
import type { Column } from "../table.ts";
import { cell, formatTable } from "../table.ts";
import { printable } from "../terminal-text.ts";
import { betweenMs, timeText, tookText } from "./time.ts";
import { askerText, phaseText, stateText, waitText } from "./words.ts";

const STEP_COLUMNS: readonly Column[] = [
  cell("at"),
  cell("state"),
  cell("step"),
  { ...cell("subject"), header: "OF" },
  cell("node"),
  cell("took"),
  cell("tries"),
  { ...cell("undo"), isRare: true },
  { ...cell("error"), header: "LAST ERROR", isRare: true },
];

/** One transaction for people: its request, what it waits for, and a line for each step. */
export function timeline(transaction: Transaction, nowMs: number): string {
  const facts = factsOf(transaction, nowMs).filter(([, text]) => text !== "");
  const width = Math.max(...facts.map(([name]) => name.length));
  const head = facts.map(([name, text]) => `${name.padEnd(width)}   ${printable(text)}\n`).join("");
  const { steps } = transaction;
  if (steps.length === 0) return head;
  const rows = steps.map((step) => rowOf(transaction, step));
  return `${head}\n${formatTable(STEP_COLUMNS, false, rows)}`;
}

function factsOf(transaction: Transaction, nowMs: number): readonly (readonly [string, string])[] {
  const { startedAt, finishedAt, asker, cancellation } = transaction;
  const took = tookText(betweenMs(startedAt, finishedAt, nowMs));
  const requestId = asker?.requestId ?? "";
  return [
    ["transaction", transaction.id],
    ["what", [transaction.rpc, ...transaction.resources].join(" ")],
    ["phase", phaseText(transaction.phase)],
    [
      "asked by",
      [askerText(asker), requestId === "" ? "" : `request ${requestId}`].filter(Boolean).join(", "),
    ],
    ["started", timeText(startedAt)],
    ["finished", finishedAt === undefined ? "" : `${timeText(finishedAt)}, after ${took}`],
    ["running for", finishedAt === undefined ? took : ""],
    ["client waits", finishedAt === undefined ? deadlineText(transaction) : ""],
    ["waits for", waitText(transaction.wait, nowMs)],
    [
      "cancelled",
      cancellation === undefined
        ? ""
        : `${timeText(cancellation.cancelledAt)} by ${askerText(cancellation.asker) || "somebody"}`,
    ],
    ["error", transaction.error],
    ["hindered by", transaction.hindrance],
    ["if given up", stepsThat(transaction, ({ leaves }) => leaves)],
    ["given up", stepsThat(transaction, ({ givenUp }) => givenUp?.leaves ?? "")],
  ];
}

/** What the given steps leave on their nodes; empty if none leaves anything. */
function stepsThat({ steps }: Transaction, leavesOf: (step: Step) => string): string {
  const left = steps.filter((step) => leavesOf(step) !== "");
  return left.map((step) => `${step.name} leaves ${leavesOf(step)}`).join("; ");
}

function deadlineText({ deadlineAt }: Transaction): string {
  return deadlineAt === undefined ? "" : `until ${timeText(deadlineAt)}`;
}

function rowOf({ startedAt }: Transaction, step: Step) {
  const { undo } = step;
  const afterMs = betweenMs(startedAt, step.startedAt, 0);
  return {
    at: step.startedAt === undefined ? "" : `+${tookText(afterMs)}`,
    state: step.givenUp === undefined ? stateText(step.state) : "given up",
    step: step.name,
    subject: step.subject,
    node: step.node,
    took: step.duration === undefined ? "" : tookText(durationMs(step.duration)),
    tries: step.tries === 0 ? "" : String(step.tries),
    undo: undo === undefined ? "" : undoText(undo),
    error: undo === undefined || undo.error === "" ? step.error : undo.error,
  };
}

function undoText({ duration, tries }: NonNullable<Step["undo"]>): string {
  const often = counted(tries, "try", "tries");
  return duration === undefined ? often : `${often}, ${tookText(durationMs(duration))}`;
}
