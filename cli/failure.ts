import type { ConnectError } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { isLoopback } from "../src/util/loopback.ts";
import { DEFAULT_SCOPE } from "../src/util/ref.ts";
import type { Connection } from "./connection.ts";
import { errorInfo, retryDelayMs } from "./error-details.ts";
import { EXIT } from "./exit-code.ts";
import { OWN_TOKEN_FILE } from "./found-token.ts";
import { isLost } from "./lost.ts";
import { printableLines } from "./terminal-text.ts";

/** How a failed call is reported: lines for people and an exit code for programs. */
export interface Failure {
  readonly exitCode: number;
  readonly lines: readonly string[];
}

const EXIT_CODE_OF: Readonly<Record<Code, number>> = {
  // The server cancelled it. An interrupt by the user does not come here.
  [Code.Canceled]: EXIT.failed,
  [Code.Unknown]: EXIT.failed,
  [Code.InvalidArgument]: EXIT.wrongUse,
  [Code.DeadlineExceeded]: EXIT.timedOut,
  [Code.NotFound]: EXIT.notFound,
  [Code.AlreadyExists]: EXIT.conflict,
  [Code.PermissionDenied]: EXIT.notAllowed,
  [Code.ResourceExhausted]: EXIT.noCapacity,
  [Code.FailedPrecondition]: EXIT.conflict,
  [Code.Aborted]: EXIT.conflict,
  [Code.OutOfRange]: EXIT.wrongUse,
  [Code.Unimplemented]: EXIT.failed,
  [Code.Internal]: EXIT.failed,
  [Code.Unavailable]: EXIT.failed,
  [Code.DataLoss]: EXIT.failed,
  [Code.Unauthenticated]: EXIT.notAllowed,
};

/** The part of a connection that hints mention. */
export type Asked = Pick<
  Connection,
  "baseUrl" | "tokenFile" | "tokenOrigin" | "signIn" | "project"
>;

/** `[NotFound] virtual machine "x" does not exist`: the first line of any failed call, and all of it in `do`. */
export function failureLine(error: ConnectError): string {
  return `[${Code[error.code]}] ${printableLines(error.rawMessage)}`;
}

/** Whether the project of the call, which it may not have named, does not exist for the caller. */
export function lacksProject({ code, rawMessage }: ConnectError, { project }: Asked): boolean {
  const missing = `project "${project ?? DEFAULT_SCOPE}" does not exist`;
  return code === Code.NotFound && rawMessage === missing;
}

/** `asked` is the connection of the call; hints about an absent server or a missing token mention it. */
export function explainFailure(error: ConnectError, asked: Asked): Failure {
  const { transactionId, rollback } = errorInfo(error);
  const undo = undoLine(rollback, transactionId);
  const lines = [failureLine(error)];
  // A transaction that is unwound or unwinding is not still running, so the hint to wait longer would be wrong.
  const isSettled = undo !== undefined && error.code === Code.DeadlineExceeded;
  const hint = isSettled || rollback === "needs_operator" ? undefined : nextStep(error, asked);
  if (hint !== undefined) lines.push(hint);
  if (transactionId !== undefined) lines.push(`transaction: ${transactionId}`);
  if (undo !== undefined) lines.push(undo);
  if (rollback === "needs_operator") return { exitCode: EXIT.needsOperator, lines };
  return { exitCode: isSettled ? EXIT.failed : EXIT_CODE_OF[error.code], lines };
}

function tokenHint({ baseUrl, tokenFile, tokenOrigin, signIn }: Asked): string {
  if (signIn !== undefined)
    return "Sign in again with n0cli login, or forget the sign-in with n0cli logout.";
  const name =
    "Name a file that holds your token with --token-file or N0CLI_TOKEN_FILE, or sign in with n0cli login.";
  if (tokenOrigin === "unreadable") {
    return `${OWN_TOKEN_FILE} holds the token, and only its owner can read it: run this as that user. ${name}`;
  }
  if (tokenOrigin === "found")
    return `${tokenFile} holds a token that this server does not know. ${name}`;
  if (tokenFile !== undefined)
    return `${tokenFile} holds a token that this server does not know. ${name}`;
  if (!isLoopback(new URL(baseUrl).hostname)) return name;
  return `${name} A server on this computer keeps its token in its base directory, by default in ${OWN_TOKEN_FILE}.`;
}

function undoLine(rollback: string | undefined, transactionId: string | undefined) {
  switch (rollback) {
    case "done":
      return "The transaction is unwound: everything is as it was before.";
    case "going_on":
      return `The server is unwinding the transaction; you need do nothing.${hint("watch", transactionId)}`;
    case "needs_operator":
      return `The transaction is neither committed nor unwound: an operator must look at it.${hint("show", transactionId)}`;
    default:
      return undefined;
  }
}

function hint(command: string, transactionId: string | undefined): string {
  return transactionId === undefined ? "" : ` See n0cli tx ${command} ${transactionId}`;
}

function nextStep(error: ConnectError, asked: Asked): string | undefined {
  const delayMs = retryDelayMs(error);
  switch (error.code) {
    case Code.Unavailable:
      if (errorInfo(error).isOurs) return "Try again later.";
      if (isLost(error)) return undefined;
      return `No server answers at ${asked.baseUrl}. Is n0core running there? Choose another server with --api-endpoint.`;
    case Code.Unauthenticated:
      return tokenHint(asked);
    case Code.PermissionDenied:
      return "Ask the operator of this n0stack for the permission, or use another token.";
    case Code.NotFound:
      if (lacksProject(error, asked))
        return "Name a project in which you have a role with --project or N0CLI_PROJECT.";
      return "List what exists with n0cli get <resource>.";
    case Code.Aborted:
      return delayMs === undefined
        ? "Nothing is wrong with the request: send it again."
        : `Nothing is wrong with the request: send it again in ${Math.ceil(delayMs / 1000)} s.`;
    case Code.DeadlineExceeded:
      return "The transaction may still be running: see n0cli tx list --open, or wait longer with --timeout.";
    case Code.Unimplemented:
      return "The server does not know this method: it may be older than this client (see n0cli version).";
    case Code.Internal:
    case Code.Unknown:
      return "The API's log has the reason.";
    default:
      return undefined;
  }
}
