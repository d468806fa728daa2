import type { Interceptor } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";
import type { ErrorFacts, ErrorKind } from "../util/errors.ts";
import { ERROR_KINDS, errorChain, innermostReason, N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { cut, cutBytes } from "../util/quote.ts";
import { guardMessages } from "./messages.ts";

/** The `domain` of our ErrorInfo details. We do not read details of other domains. */
export const ERROR_DOMAIN = "n0stack";

/** Names the failed transaction in a header, in addition to the details, for clients that read only headers. */
export const TRANSACTION_HEADER = "n0-transaction-id";

const CODE_OF: Readonly<Record<ErrorKind, Code>> = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  canceled: Code.Canceled,
  out_of_range: Code.OutOfRange,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
};

/** For an answer without a kind of ours, it only matters whether it arrived. */
const KIND_OF: Readonly<Record<Code, ErrorKind>> = {
  [Code.Canceled]: "unavailable",
  [Code.Unknown]: "internal",
  [Code.InvalidArgument]: "invalid_argument",
  [Code.DeadlineExceeded]: "unavailable",
  [Code.NotFound]: "not_found",
  [Code.AlreadyExists]: "already_exists",
  [Code.PermissionDenied]: "permission_denied",
  [Code.ResourceExhausted]: "resource_exhausted",
  [Code.FailedPrecondition]: "failed_precondition",
  [Code.Aborted]: "aborted",
  [Code.OutOfRange]: "out_of_range",
  [Code.Unimplemented]: "unimplemented",
  [Code.Internal]: "internal",
  [Code.Unavailable]: "unavailable",
  [Code.DataLoss]: "internal",
  [Code.Unauthenticated]: "unauthenticated",
};

/** The message for a client after a bug. The log has the chain of causes. */
const INTERNAL_MESSAGE = "internal error";

/** A field that breaks a rule, as in `BadRequest`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** As many as a person reads. */
const VIOLATIONS_MAX = 20;
const VIOLATION_LENGTH_MAX = 500;

/** `invalid_argument` for several fields, of which it names the first 20. `facts.field` is the first. */
export class ViolationsError extends N0Error {
  readonly violations: readonly FieldViolation[];

  constructor(all: readonly FieldViolation[]) {
    const violations = all.slice(0, VIOLATIONS_MAX).map(({ field: path, description }) => ({
      field: cut(path, VIOLATION_LENGTH_MAX),
      description: cut(description, VIOLATION_LENGTH_MAX),
    }));
    const more = all.length - violations.length;
    const field = violations[0]?.field;
    super(
      "invalid_argument",
      [
        ...violations.map((v) => (v.field === "" ? v.description : `${v.field}: ${v.description}`)),
        ...(more === 0 ? [] : [`and ${more} more`]),
      ].join("; "),
      field === undefined || field === "" ? {} : { field },
    );
    this.violations = violations;
  }
}

/**
 * The maximum size of an error on the wire. In gRPC the error is in the headers, with its message twice
 * (once with three letters for each byte). Clients accept 16 KiB of headers. More breaks the connection,
 * with all its calls.
 */
export const MESSAGE_BYTES_MAX = 2048;
const DETAILS_BYTES_MAX = 4096;
const FACT_BYTES_MAX = 256;
const CAUSE_BYTES_MAX = 1024;
const DESCRIPTION_BYTES_MAX = 1024;

/**
 * Who reads the answers of a server. Agents send the API the error texts of libvirt, QEMU or nft, which it
 * keeps with the transaction. The API does not send them to its clients.
 */
export type Audience = "client" | "api";

/**
 * Converts an error for the wire. An N0Error keeps its message, which is written for clients, and gets the
 * details ErrorInfo (`reason` is the kind), BadRequest and RetryInfo. A ConnectError of this process (a
 * deadline, a message that is too large) stays as it is. Everything else is a bug and says only "internal
 * error". So does a ConnectError from another server, because `onNode` should have converted it.
 */
export function toConnectError(reason: unknown, audience: Audience = "client"): ConnectError {
  if (reason instanceof N0Error) return n0ConnectError(reason, audience);
  if (reason instanceof ConnectError && !reason.isWireError) return shortened(reason);
  if (reason instanceof DOMException && reason.name === "AbortError") {
    return new ConnectError("the call was cancelled", Code.Canceled, undefined, [], reason);
  }
  if (reason instanceof DOMException && reason.name === "TimeoutError") {
    const late = new N0Error("deadline_exceeded", "the call took too long", { cause: reason });
    return n0ConnectError(late, audience);
  }
  return n0ConnectError(new N0Error("internal", INTERNAL_MESSAGE, { cause: reason }), audience);
}

function n0ConnectError(error: N0Error, audience: Audience): ConnectError {
  const { resource, field, transactionId, rollback } = error.facts;
  const metadata: Record<string, string> = {};
  if (resource !== undefined) metadata["resource"] = cutBytes(resource, FACT_BYTES_MAX);
  if (field !== undefined) metadata["field"] = cutBytes(field, FACT_BYTES_MAX);
  if (transactionId !== undefined) metadata["transaction_id"] = transactionId;
  if (rollback !== undefined) metadata["rollback"] = rollback;
  const { cause } = error.facts;
  if (audience === "api" && cause !== undefined)
    metadata["cause"] = cutBytes(innermostReason(errorChain(cause)), CAUSE_BYTES_MAX);

  const headers = new Headers();
  // A header value must be ASCII. Other characters in an identifier would break the whole answer.
  if (transactionId !== undefined && /^[\x21-\x7e]+$/.test(transactionId)) {
    headers.set(TRANSACTION_HEADER, transactionId);
  }
  const info = { reason: error.kind, domain: ERROR_DOMAIN, metadata };
  return new ConnectError(
    cutBytes(error.message, MESSAGE_BYTES_MAX),
    CODE_OF[error.kind],
    headers,
    [{ desc: ErrorInfoSchema, value: info }, ...badRequestDetails(error), ...retryDetails(error)],
    error,
  );
}

function badRequestDetails(error: N0Error) {
  const { field } = error.facts;
  const alone = field === undefined ? [] : [{ field, description: error.message }];
  const all = error instanceof ViolationsError ? error.violations : alone;
  const fieldViolations = withinBounds(all);
  return fieldViolations.length === 0
    ? []
    : [{ desc: BadRequestSchema, value: { fieldViolations } }];
}

/** As many as fit beside the other details. */
function withinBounds(all: readonly FieldViolation[]): FieldViolation[] {
  let leftBytes = DETAILS_BYTES_MAX - 2 * FACT_BYTES_MAX - CAUSE_BYTES_MAX;
  const told: FieldViolation[] = [];
  for (const { field, description } of all) {
    const short = {
      field: cutBytes(field, FACT_BYTES_MAX),
      description: cutBytes(description, DESCRIPTION_BYTES_MAX),
    };
    leftBytes -= Buffer.byteLength(short.field) + Buffer.byteLength(short.description);
    if (leftBytes < 0) break;
    told.push(short);
  }
  return told;
}

/** An error of Connect itself, which may repeat what the client sent. */
function shortened(error: ConnectError): ConnectError {
  const { rawMessage, code, metadata, details, cause } = error;
  const message = cutBytes(rawMessage, MESSAGE_BYTES_MAX);
  if (message === rawMessage) return error;
  const short = new ConnectError(message, code, metadata, undefined, cause);
  short.details = details;
  return short;
}

function retryDetails({ facts: { retryAfterMs } }: N0Error) {
  if (retryAfterMs === undefined) return [];
  const ms = Math.max(0, Math.ceil(retryAfterMs));
  const retryDelay = { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
  return [{ desc: RetryInfoSchema, value: { retryDelay } }];
}

/**
 * The inverse, for clients: the kind that the server named, else the kind of the code. No answer at all
 * (cancelled, too late, no connection) is `unavailable`. Never throws.
 */
export function fromConnectError(reason: unknown): N0Error {
  if (reason instanceof N0Error) return reason;
  const error = ConnectError.from(reason);
  const info = errorInfo(error);
  const told = info?.metadata["cause"];
  const facts: { -readonly [K in keyof ErrorFacts]: ErrorFacts[K] } = {
    cause: told === undefined ? reason : new Error(told),
  };
  const { resource, field, transaction_id: transactionId, rollback } = info?.metadata ?? {};
  if (resource !== undefined) facts.resource = resource;
  if (field !== undefined) facts.field = field;
  if (transactionId !== undefined) facts.transactionId = transactionId;
  if (rollback === "done" || rollback === "going_on" || rollback === "needs_operator") {
    facts.rollback = rollback;
  }
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  if (delay !== undefined) facts.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  return new N0Error(info?.kind ?? KIND_OF[error.code], error.rawMessage, facts);
}

function errorInfo(error: ConnectError) {
  const info = error.findDetails(ErrorInfoSchema).find((i) => i.domain === ERROR_DOMAIN);
  const kind = ERROR_KINDS.find((k) => k === info?.reason);
  return info === undefined || kind === undefined ? undefined : { kind, metadata: info.metadata };
}

/** Converts the error of an agent, because the user asked the API, not the node. */
const KIND_FROM_NODE: Readonly<Record<ErrorKind, ErrorKind>> = {
  invalid_argument: "invalid_argument",
  // If the agent does not find something, that is not the object of the user, but something that should
  // exist.
  not_found: "failed_precondition",
  already_exists: "failed_precondition",
  failed_precondition: "failed_precondition",
  aborted: "aborted",
  // For the user the node did not answer, whether the API or something else ended the call.
  canceled: "unavailable",
  out_of_range: "out_of_range",
  resource_exhausted: "resource_exhausted",
  unavailable: "unavailable",
  deadline_exceeded: "unavailable",
  // The agent refuses the token of the API, which the user cannot change in the request.
  unauthenticated: "unavailable",
  permission_denied: "unavailable",
  unimplemented: "failed_precondition",
  internal: "internal",
};

/**
 * Runs a call to the agent of a node. Converts its error into the terms of the user's request, with a
 * message that begins with `node "x":`.
 *
 * @throws N0Error `unavailable` if the agent does not answer, or if something other than an agent answers.
 */
export async function onNode<T>(nodeName: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (reason) {
    throw fromNode(nodeName, reason);
  }
}

/** The same for a stream of answers. */
export async function* onNodeStream<T>(
  nodeName: string,
  call: () => AsyncIterable<T>,
): AsyncGenerator<T, void> {
  try {
    yield* call();
  } catch (reason) {
    throw fromNode(nodeName, reason);
  }
}

function fromNode(nodeName: string, reason: unknown): N0Error {
  const error = fromConnectError(reason);
  const { resource = `node/${nodeName}`, cause = reason } = error.facts;
  const facts = { resource, cause };
  const retryAfterMs = error.facts.retryAfterMs;
  const withRetry = retryAfterMs === undefined ? facts : { ...facts, retryAfterMs };
  const { kind, problem } = nodeProblem(error, reason);
  return new N0Error(kind, `node "${nodeName}": ${problem}`, withRetry);
}

function nodeProblem(error: N0Error, reason: unknown): { kind: ErrorKind; problem: string } {
  const kind = KIND_FROM_NODE[error.kind];
  if (reason instanceof N0Error) return { kind, problem: error.message };
  if (error.kind === "unauthenticated" || error.kind === "permission_denied") {
    return { kind, problem: "its agent refuses the token of this API" };
  }
  if (!(reason instanceof ConnectError)) return { kind, problem: error.message };
  if (errorInfo(reason) !== undefined) return { kind, problem: error.message };
  return unnamedProblem(kind, reason);
}

/** A failure that does not come from our agent: the connection, a proxy, or an invalid answer. */
function unnamedProblem(
  kind: ErrorKind,
  reason: ConnectError,
): { kind: ErrorKind; problem: string } {
  switch (reason.code) {
    case Code.Canceled:
    case Code.DeadlineExceeded:
      return { kind: "unavailable", problem: "its agent did not answer in time" };
    case Code.Unavailable:
      return { kind: "unavailable", problem: "its agent does not answer" };
    case Code.ResourceExhausted:
      return { kind, problem: reason.rawMessage };
    case Code.Unimplemented:
      return { kind: "unavailable", problem: "the server there is not an agent of this version" };
    default:
      return { kind: "unavailable", problem: "the server there is not an agent of n0stack" };
  }
}

/**
 * The outermost interceptor of every server: converts what a handler throws, also while it streams, into an
 * error for the wire, and logs the causes that it hides from the client.
 */
export function errorInterceptor(log: Log, audience: Audience = "client"): Interceptor {
  const rethrow = (method: string, signal: AbortSignal, reason: unknown): never => {
    if (signal.aborted && isCutShort(reason)) {
      throw new ConnectError("the client hung up", Code.Canceled, undefined, [], reason);
    }
    const error = toConnectError(reason, audience);
    if (error.code === Code.Internal || error.code === Code.Unknown) {
      log.error("a handler failed", { method, error: reason });
    } else if (reason instanceof N0Error && reason.facts.cause !== undefined) {
      log.debug("a call was refused", { method, chain: errorChain(reason) });
    }
    throw error;
  };
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const fail = (reason: unknown) => rethrow(method, request.signal, reason);
    try {
      const response = await next(request);
      if (!response.stream) return response;
      return { ...response, message: guardMessages(response.message, fail) };
    } catch (reason) {
      return fail(reason);
    }
  };
}

/** Node's error for a stream that ends too early. */
function isCutShort(reason: unknown): boolean {
  return (
    reason instanceof Error && "code" in reason && reason.code === "ERR_STREAM_PREMATURE_CLOSE"
  );
}
