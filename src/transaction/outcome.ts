import { innermostReason, N0Error, withFacts } from "../util/errors.ts";
import type { TransactionHeader, TransactionState } from "./journal.ts";

/**
 * The error for the client of a failed request: why it failed, and how far the unwind is. `state` is the
 * state at rest; undefined while the unwind goes on.
 */
export function failureOf(
  header: TransactionHeader,
  state: TransactionState | undefined,
  reason: unknown,
): N0Error {
  const { id: transactionId } = header;
  if (header.isCommitted) return withFacts(reason, { transactionId });
  if (state !== "needs_operator") {
    return withFacts(reason, {
      transactionId,
      rollback: state === "unwound" ? "done" : "going_on",
    });
  }
  const { kind, message, facts } = withFacts(reason, { transactionId, rollback: state });
  return new N0Error(kind, `${message}; undoing it failed: ${hindranceText(header)}`, facts);
}

/** The error for the client of a committed request whose steps after the pivot are not finished yet. */
export function unfinished(
  header: TransactionHeader,
  state: TransactionState | undefined,
): N0Error {
  const { id: transactionId, kind } = header;
  if (state !== "needs_operator") {
    const message = `${kind} is committed and still being finished: transaction ${transactionId}`;
    return new N0Error("deadline_exceeded", message, { transactionId });
  }
  const why = hindranceText(header);
  const message = `${kind} is committed, but finishing it failed: ${why}; transaction ${transactionId} needs an operator`;
  return new N0Error("internal", message, { transactionId, rollback: state });
}

/** The error for the clients of the transactions that end because the process does. */
export function shuttingDown(): N0Error {
  return new N0Error("unavailable", "the API is shutting down: try again", { retryAfterMs: 1_000 });
}

/** The step that hinders, and the innermost error there: that of libvirt, QEMU or nft. */
export function hindranceText({ error = "" }: TransactionHeader): string {
  const [step = ""] = error.split(": ", 1);
  return `${step}: ${innermostReason(error)}`;
}
