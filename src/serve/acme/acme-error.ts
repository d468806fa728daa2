import { type ErrorKind, N0Error } from "../../util/errors.ts";
import { isObject } from "../../util/json-request.ts";
import { cut } from "../../util/quote.ts";

const PREFIX = "urn:ietf:params:acme:error:";
const DETAIL_LENGTH_MAX = 300;
const SUBPROBLEMS_MAX = 5;

/** What an ACME server refused. */
export class AcmeError extends N0Error {
  override name = "AcmeError";
  /** Such as `rateLimited`. */
  readonly type: string;
  /** Of HTTP. */
  readonly status: number | undefined;

  constructor(
    { type, status }: { readonly type: string; readonly status: number | undefined },
    kind: ErrorKind,
    message: string,
    retryAfterMs?: number,
  ) {
    super(kind, message, retryAfterMs === undefined ? {} : { retryAfterMs });
    this.type = type;
    this.status = status;
  }
}

/**
 * The error of a problem document (RFC 7807).
 *
 * @param what The request, such as `new order for a.example`.
 */
export function acmeError(
  what: string,
  problem: unknown,
  { status, retryAfterMs }: { readonly status?: number; readonly retryAfterMs?: number } = {},
): AcmeError {
  const { type, text } = readProblem(problem, status);
  const kind =
    type === "rateLimited"
      ? "resource_exhausted"
      : (status ?? 0) >= 500
        ? "unavailable"
        : "failed_precondition";
  const message = `the ACME server refuses the ${what}: ${text}`;
  return new AcmeError({ type, status }, kind, message, retryAfterMs);
}

function readProblem(problem: unknown, status?: number): { type: string; text: string } {
  const fields = isObject(problem) ? problem : {};
  const type =
    typeof fields["type"] === "string" ? fields["type"].replace(PREFIX, "").slice(0, 60) : "";
  const detail = typeof fields["detail"] === "string" ? fields["detail"] : "";
  const inner = Array.isArray(fields["subproblems"]) ? fields["subproblems"] : [];
  const inside = inner.slice(0, SUBPROBLEMS_MAX).map((one: unknown) => {
    const of = isObject(one) && isObject(one["identifier"]) ? one["identifier"]["value"] : "";
    return `${String(of)}: ${readProblem(one).text}`;
  });
  const why = [type, detail].filter((part) => part !== "").join(", ");
  const text = [why === "" ? `status ${status ?? "unknown"}` : why, ...inside].join("; ");
  return { type, text: cut(text.replaceAll(/\s+/g, " "), DETAIL_LENGTH_MAX) };
}
