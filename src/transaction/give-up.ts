import { N0Error } from "../util/errors.ts";
import type { GivenUp, StepRow, TransactionHeader } from "./journal.ts";
import type { LiveTransaction } from "./live.ts";
import type { StepRegistry } from "./registry.ts";

/** A step that hinders its transaction, and what stays on the node if it is given up. */
export interface Hindrance {
  readonly row: StepRow;
  readonly leaves: string;
}

/** What would stay if the operator gave this step up; undefined if it cannot be given up. */
export function leavesOf<C, W>(
  registry: StepRegistry<C, W>,
  { isCommitted }: TransactionHeader,
  { name, input }: StepRow,
): string | undefined {
  const step = isCommitted ? registry.retriable(name) : registry.step(name);
  return step.leaves?.(input);
}

/** @throws N0Error `failed_precondition` unless the transaction needs an operator. */
export function throwUnlessStuck(
  header: TransactionHeader,
  inHand: LiveTransaction | undefined,
): void {
  if (inHand === undefined && header.state === "needs_operator") return;
  throw refusal(header, "only a step of one that needs an operator can be given up");
}

/**
 * Returns the step that an operator may give up. `stepName` is the step that the operator has seen; empty
 * for any.
 *
 * @throws N0Error `failed_precondition` if no step or another step hinders the transaction, or if the step
 *   only writes records: nothing on a node can hinder those.
 */
export function hindranceOf<C, W>(
  registry: StepRegistry<C, W>,
  header: TransactionHeader,
  rows: readonly StepRow[],
  stepName: string,
): Hindrance {
  const row = rows.find(({ seq }) => seq === header.hinderedBySeq);
  if (row === undefined) {
    throw refusal(header, "no step hinders it: repair what its error names, then retry it");
  }
  if (stepName !== "" && stepName !== row.name) {
    throw refusal(header, `step ${row.name} hinders it by now, not ${stepName}: look at it again`);
  }
  const leaves = leavesOf(registry, header, row);
  if (leaves === undefined) {
    throw refusal(header, `step ${row.name} only writes records: repair them, then retry it`);
  }
  return { row, leaves };
}

/** The row of a step that counts as undone or done because an operator gave it up. */
export function givenUp(row: StepRow, { isCommitted }: TransactionHeader, by: GivenUp): StepRow {
  return { ...row, phase: isCommitted ? "done" : "undone", givenUp: by };
}

function refusal({ id, kind }: TransactionHeader, why: string): N0Error {
  return new N0Error("failed_precondition", `transaction "${id}" (${kind}): ${why}`, {
    resource: `transaction/${id}`,
  });
}
