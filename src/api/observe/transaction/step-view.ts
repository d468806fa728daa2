import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type GivenUpSchema,
  Step_State as State,
  type Step,
  StepSchema,
  type UndoSchema,
} from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { leavesOf } from "../../../transaction/give-up.ts";
import {
  type GivenUp,
  nodeOf,
  type StepRow,
  subjectOf,
  type TransactionHeader,
  type Tried,
} from "../../../transaction/journal.ts";
import type { Api } from "../../provisioning/context.ts";

/** The steps of a transaction, as clients see them. */
export function stepsOf(api: Api, header: TransactionHeader, rows: readonly StepRow[]): Step[] {
  const ended = new Map([...rows.flatMap((row) => row.ended ?? []), ...(header.ended ?? [])]);
  return rows.map((row) => {
    const endedAtMs = ended.get(row.seq);
    return toWire(api, header, endedAtMs === undefined ? row : { ...row, endedAtMs });
  });
}

/** Whether it acts or is undone, by a row in the memory of the process that runs it. */
export function isBusy(header: TransactionHeader, row: StepRow): boolean {
  const state = stateOf(header, row);
  return state === State.ACTING || state === State.UNDOING;
}

function toWire(api: Api, header: TransactionHeader, row: StepRow): Step {
  const state = stateOf(header, row);
  const isStuck = isStuckAt(header, row);
  const isBegun = state !== State.PENDING;
  return create(StepSchema, {
    name: row.name,
    state,
    subject: subjectOf(row) ?? "",
    node: nodeOf(row) ?? "",
    error: row.error ?? "",
    tries: isBegun ? (row.tries ?? 1) : 0,
    ...(isBegun ? { startedAt: timestampFromMs(row.startedAtMs) } : {}),
    ...durationOf(row),
    ...(row.undo === undefined ? {} : { undo: undoOf(row.undo) }),
    leaves: isStuck ? (leavesOf(api.engine.registry, header, row) ?? "") : "",
    ...(row.givenUp === undefined ? {} : { givenUp: givenUpOf(row.givenUp) }),
  });
}

/** Whether this step needs an operator. */
function isStuckAt({ state, hinderedBySeq }: TransactionHeader, { seq }: StepRow): boolean {
  return state === "needs_operator" && hinderedBySeq === seq;
}

function stateOf(header: TransactionHeader, row: StepRow): State {
  const { state } = header;
  const isStuck = isStuckAt(header, row);
  switch (row.phase) {
    case "undone":
      return State.UNDONE;
    case "done":
      return State.DONE;
    case "pending":
      if (isStuck) return State.FAILED;
      return row.tries === undefined ? State.PENDING : State.ACTING;
    default:
      if (isStuck) return State.FAILED;
      if (row.undo !== undefined) return State.UNDOING;
      if (row.error !== undefined) return State.FAILED;
      if (row.endedAtMs !== undefined || state === "done" || state === "committed")
        return State.DONE;
      // A process that ended did not say whether it had acted.
      return state === "running" ? State.ACTING : State.FAILED;
  }
}

function undoOf(undo: Tried): MessageInitShape<typeof UndoSchema> {
  return {
    startedAt: timestampFromMs(undo.startedAtMs),
    tries: undo.tries,
    error: undo.error ?? "",
    ...durationOf(undo),
  };
}

function givenUpOf({ by, atMs, leaves }: GivenUp): MessageInitShape<typeof GivenUpSchema> {
  return { asker: { ...by }, givenUpAt: timestampFromMs(atMs), leaves };
}

function durationOf({ startedAtMs, endedAtMs }: Pick<StepRow, "startedAtMs" | "endedAtMs">) {
  if (endedAtMs === undefined) return {};
  // The wall clock may have been set back in between.
  return { duration: durationFromMs(Math.max(0, endedAtMs - startedAtMs)) };
}
