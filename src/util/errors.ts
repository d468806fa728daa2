/** What went wrong, in terms of the domain. Only the edge turns a kind into a wire code. */
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
  /** The field that is wrong, spelled as the client spells it: `nics[0].ipv4_address`. */
  readonly field?: string;
  /** How long a client should wait before it tries again. */
  readonly retryAfterMs?: number;
  /** The object that is the reason, such as `virtual_machine/web-1`. */
  readonly resource?: string;
  /** The failed transaction, if there is one, and whether everything that it did is undone. */
  readonly transactionId?: string;
  readonly rollback?: "done" | "going_on" | "needs_operator";
  readonly cause?: unknown;
}

/**
 * An expected failure. `message` is safe to show to a client: it names the resource, the field and the next
 * thing to do. `cause` holds what clients must not see (command lines, paths, stack traces of a node). It is
 * logged and kept with the transaction, and no answer has it.
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

/** The same error with more facts. Any other value becomes an internal error with that value as its cause. */
export function withFacts(reason: unknown, facts: ErrorFacts): N0Error {
  if (!(reason instanceof N0Error)) {
    return new N0Error("internal", "internal error", { cause: reason, ...facts });
  }
  return new N0Error(reason.kind, reason.message, { ...reason.facts, ...facts });
}

/** The kind of any thrown value. Anything but an N0Error is a bug. */
export function kindOf(reason: unknown): ErrorKind {
  return reason instanceof N0Error ? reason.kind : "internal";
}

/** Whether the same request may succeed later although nobody changes anything. */
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

/** The whole cause chain in one line, for logs. A message never repeats the message of its cause. */
export function errorChain(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error; e !== undefined && parts.length < CHAIN_LENGTH_MAX; ) {
    parts.push(textOf(e));
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.join(CHAIN_LINK);
}

/** The name of an N0Error tells people nothing: its message is a sentence for them. */
function textOf(error: unknown): string {
  if (error instanceof N0Error) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

const REASON_LENGTH_MAX = 500;

/** The innermost reason of a chain that `errorChain` wrote, such as the last line that qemu-img printed. */
export function innermostReason(chain: string): string {
  const innermost = chain.split(CHAIN_LINK).at(-1) ?? "";
  const lines = innermost.split("\n").map((line) => line.trim());
  const last = lines.findLast((line) => line !== "") ?? "";
  return last.replace(/^\w*Error: /, "").slice(0, REASON_LENGTH_MAX);
}
