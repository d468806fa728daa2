import { STATUS_CODES } from "node:http";
import { errorCode } from "../../../util/errno.ts";
import { type ErrorFacts, N0Error } from "../../../util/errors.ts";

const FIELD = "source_url";
const PROXY_AUTHENTICATION_REQUIRED = 407;

/** A failure that stays until somebody changes something. */
export function lasting(message: string, cause?: unknown): N0Error {
  return new N0Error("failed_precondition", `${FIELD}: ${message}`, { field: FIELD, cause });
}

/** A failure that may be gone the next time. */
export function passing(message: string, facts: ErrorFacts = {}): N0Error {
  return new N0Error("unavailable", `${FIELD}: ${message}`, { field: FIELD, ...facts });
}

/** Whether the same request may succeed later: RFC 9110, section 15; RFC 6585; RFC 8470. */
export function isPassingStatus(status: number): boolean {
  return [408, 425, 429].includes(status) || (status >= 500 && status <= 599);
}

/** Such as `404 Not Found`, in the words of the standard and not of the server. */
export function statusText(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ""}`.trim();
}

/**
 * Why there is no answer, in words for users, who need not know those of Node.
 *
 * Names only the host: the rest of a URL may be a secret.
 *
 * @param proxy The proxy of the request.
 */
export function noAnswer(url: URL, proxy: URL | undefined, cause: unknown): N0Error {
  const code = errorCode(cause) ?? "";
  const who = proxy === undefined ? url.host : `the proxy ${proxy.host}`;
  if (code === "ERR_PROXY_TUNNEL") return noTunnel(url, who, cause);
  const said = LASTING.find(([codes]) => codes.test(code))?.[1];
  if (said !== undefined) return lasting(said(who, url.host), cause);
  const why = PASSING.get(code);
  return passing(`${who} does not answer${why === undefined ? "" : `: ${why}`}`, { cause });
}

type Words = (who: string, host: string) => string;

const LASTING: ReadonlyArray<readonly [codes: RegExp, words: Words]> = [
  [
    /^(ENOTFOUND|EAI_NONAME|EAI_NODATA|EAI_FAIL)$/,
    (who) => `${who} is not found; check its name, and the node's name servers`,
  ],
  [/^HPE_HEADER_OVERFLOW$/, (who) => `${who} answers with headers that are too long`],
  [/^HPE_/, (who) => `${who} does not answer with HTTP; check scheme and port`],
  [/^(ERR_SSL_|EPROTO$)/, (_, host) => `${host} has no compatible TLS; check scheme and port`],
  [
    /^CERT_HAS_EXPIRED$/,
    (_, host) => `the certificate of ${host} has expired, or the node's clock is wrong`,
  ],
  [
    /^CERT_NOT_YET_VALID$/,
    (_, host) => `the certificate of ${host} is not valid yet, or the node's clock is wrong`,
  ],
  [
    /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/,
    (_, host) => `the certificate of ${host} is for another name`,
  ],
  [
    /SELF_SIGNED|^UNABLE_TO_|^CERT_UNTRUSTED$/,
    (_, host) => `the certificate of ${host} is from an authority that the node does not trust`,
  ],
  [
    /CERT|CRL|^INVALID_|^PATH_LENGTH_|^ERR_TLS_/,
    (_, host) => `the certificate of ${host} is not valid`,
  ],
];

const PASSING: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "it refuses the connection"],
  ["ECONNRESET", "it closes the connection"],
  ["EPIPE", "it closes the connection"],
  ["ETIMEDOUT", "the connection took too long"],
  ["EHOSTUNREACH", "the node has no route to it"],
  ["ENETUNREACH", "the node has no route to it"],
  ["EAI_AGAIN", "the node's name servers do not answer"],
]);

/** A proxy did not connect to the host: it answered (RFC 9110, section 9.3.6), or did not. */
function noTunnel(url: URL, who: string, cause: unknown): N0Error {
  const status =
    cause instanceof Error && "statusCode" in cause && typeof cause.statusCode === "number"
      ? cause.statusCode
      : undefined;
  if (status === undefined) return passing(`${who} does not connect to ${url.host}`, { cause });
  const answers = `${who} answers ${statusText(status)} instead of connecting to ${url.host}`;
  return isPassingStatus(status)
    ? passing(answers, { cause })
    : lasting(`${answers}${hintFor(status)}`, cause);
}

/** What a refusal with this status asks somebody to do. */
export function hintFor(status: number): string {
  switch (status) {
    case PROXY_AUTHENTICATION_REQUIRED:
      return "; give the agent's HTTP_PROXY or HTTPS_PROXY a user name and password";
    case 401:
      return "; n0stack cannot log in: use a signed link";
    case 403:
      return "; check that the link has not expired";
    default:
      return "; check the URL";
  }
}
