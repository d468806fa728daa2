/** What went wrong, in the words of the domain. The edge alone turns a kind into a wire code. */
export type ErrorKind =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "failed_precondition"
  | "aborted"
  | "canceled"
  | "out_of_range"
  | "resource_exhausted"
  | "unavailable"
  | "deadline_exceeded"
  | "unauthenticated"
  | "permission_denied"
  | "unimplemented"
  | "internal";

export const ERROR_KINDS = [
  "invalid_argument",
  "not_found",
  "already_exists",
  "failed_precondition",
  "aborted",
  "canceled",
  "out_of_range",
  "resource_exhausted",
  "unavailable",
  "deadline_exceeded",
  "unauthenticated",
  "permission_denied",
  "unimplemented",
  "internal",
] as const satisfies readonly ErrorKind[];

export interface ErrorFacts {
  /** The field at fault, spelled as the client spells it: `nics[0].ipv4_address`. */
  readonly field?: string;
  /** How long a client should wait before it tries again. */
  readonly retryAfterMs?: number;
  /** What is at fault, such as `virtual_machine/web-1`. */
  readonly resource?: string;
  /** The transaction that failed, where there was one, and whether everything it did is undone. */
  readonly transactionId?: string;
  readonly rollback?: "done" | "going_on" | "needs_operator";
  readonly cause?: unknown;
}

/**
 * An expected failure. `message` is safe to show to a client: it names the resource, the field and
 * the next thing to do. What is not for clients (command lines, paths, stack traces of a node) goes
 * in `cause`, which is logged and kept with its transaction, and is in no answer to the call.
 */
export class N0Error extends Error {
  override name = "N0Error";
  readonly kind: ErrorKind;
  readonly facts: ErrorFacts;

  constructor(kind: ErrorKind, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.kind = kind;
    this.facts = facts;
  }
}

/** The same error with more facts; what is not an N0Error becomes an internal one with it as the cause. */
export function withFacts(reason: unknown, facts: ErrorFacts): N0Error {
  if (!(reason instanceof N0Error)) {
    return new N0Error("internal", "internal error", { cause: reason, ...facts });
  }
  return new N0Error(reason.kind, reason.message, { ...reason.facts, ...facts });
}

/** The kind of any thrown thing: what is not an N0Error is a bug. */
export function kindOf(reason: unknown): ErrorKind {
  return reason instanceof N0Error ? reason.kind : "internal";
}

/** True where the same request may succeed later without anybody changing anything. */
export function isPassing(reason: unknown): boolean {
  const kind = kindOf(reason);
  return kind === "unavailable" || kind === "deadline_exceeded" || kind === "aborted";
}

export function notFound(resource: string, name: string): N0Error {
  return new N0Error("not_found", `${resource} "${name}" does not exist`, {
    resource: `${resource.replaceAll(" ", "_")}/${name}`,
  });
}

export function invalid(field: string, rule: string): N0Error {
  return new N0Error("invalid_argument", `${field}: ${rule}`, { field });
}

const CHAIN_LENGTH_MAX = 16;
const CHAIN_LINK = " <- ";

/** One line holding the whole cause chain, for logs. Messages themselves never repeat their cause. */
export function errorChain(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error; e !== undefined && parts.length < CHAIN_LENGTH_MAX; ) {
    parts.push(e instanceof Error ? `${e.name}: ${e.message}` : String(e));
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.join(CHAIN_LINK);
}

const REASON_LENGTH_MAX = 500;

/** The innermost reason of a chain that `errorChain` wrote, such as the last line that qemu-img printed. */
export function innermostReason(chain: string): string {
  const innermost = chain.split(CHAIN_LINK).at(-1) ?? "";
  const lines = innermost.split("\n").map((line) => line.trim());
  const last = lines.findLast((line) => line !== "") ?? "";
  return last.replace(/^\w*Error: /, "").slice(0, REASON_LENGTH_MAX);
}
