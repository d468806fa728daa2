import { jsonCollection } from "../../../datastore/collection.ts";
import { JOURNAL_BYTES_MAX } from "../../../datastore/datastore-journal.ts";
import { defined } from "../../../util/defined.ts";
import { type ErrorKind, N0Error } from "../../../util/errors.ts";

type KeptError = {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly field?: string;
  readonly resource?: string;
};

/**
 * A request under its key, from the opening of its transaction on, and its result. If the transaction was
 * unwound without a result, the request may begin again.
 */
export type KeptRequest = {
  readonly transactionId: string;
  readonly fingerprint: string;
  readonly startedAtMs: number;
  /** The answer in base64. Written with the transaction's commit. */
  readonly answer?: string;
  /** The answer holds from the opening on: its clients do not wait for the end of the transaction. */
  readonly isEarly?: boolean;
  /** The error instead of an answer. Written when the transaction has been unwound. */
  readonly error?: KeptError;
};

/** Under the RPC and the client's key, then the project and the principal: see `requestKeyOf`. */
export const keptRequests = jsonCollection<KeptRequest>("idempotency", {
  bytesMax: JOURNAL_BYTES_MAX,
});

const MESSAGE_LENGTH_MAX = 2_000;

export function keptError(reason: unknown): KeptError {
  if (!(reason instanceof N0Error)) return { kind: "internal", message: "internal error" };
  const { field, resource } = reason.facts;
  return {
    kind: reason.kind,
    message: reason.message.slice(0, MESSAGE_LENGTH_MAX),
    ...defined({ field, resource }),
  };
}

/** The error that the first client got. */
export function errorOf({ transactionId }: KeptRequest, error: KeptError): N0Error {
  const { kind, message, ...facts } = error;
  return new N0Error(kind, message, { ...facts, transactionId, rollback: "done" });
}
