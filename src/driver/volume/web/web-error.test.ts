import { expect, test } from "vitest";
import { noAnswer } from "./web-error.ts";

const url = new URL("https://images.example:8443/disk?signature=s3cret");
const proxy = new URL("http://ann:s3cret@proxy.example:3128");
const failed = (code: string, more = {}) => Object.assign(new Error(code), { code }, more);

test.for<[code: string, kind: string, words: RegExp]>([
  ["ECONNREFUSED", "unavailable", /images\.example:8443 does not answer: it refuses/],
  ["ECONNRESET", "unavailable", /does not answer: it closes the connection/],
  ["ETIMEDOUT", "unavailable", /does not answer: the connection took too long/],
  ["EHOSTUNREACH", "unavailable", /does not answer: the node has no route to it/],
  ["EAI_AGAIN", "unavailable", /the node's name servers do not answer/],
  ["EWHATEVER", "unavailable", /images\.example:8443 does not answer$/],
  ["ENOTFOUND", "failed_precondition", /images\.example:8443 is not found; check its name/],
  ["HPE_INVALID_CONSTANT", "failed_precondition", /does not answer with HTTP/],
  ["HPE_HEADER_OVERFLOW", "failed_precondition", /headers that are too long/],
  ["CERT_HAS_EXPIRED", "failed_precondition", /has expired/],
  ["CERT_NOT_YET_VALID", "failed_precondition", /not valid yet/],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "failed_precondition", /for another name/],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "failed_precondition", /authority that the node does not trust/],
  ["SELF_SIGNED_CERT_IN_CHAIN", "failed_precondition", /authority that the node does not trust/],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "failed_precondition", /does not trust/],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "failed_precondition", /does not trust/],
  ["CERT_REVOKED", "failed_precondition", /the certificate of .* is not valid/],
  ["INVALID_PURPOSE", "failed_precondition", /the certificate of .* is not valid/],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "failed_precondition", /has no compatible TLS/],
  ["EPROTO", "failed_precondition", /has no compatible TLS/],
])("%s is %s, in words", ([code, kind, words]) => {
  const error = noAnswer(url, undefined, failed(code));
  expect(error).toMatchObject({ kind, facts: { field: "source_url" } });
  expect(error.message).toMatch(words);
  expect(error.message).not.toContain(code);
  expect(error.message).not.toMatch(/s3cret/);
});

test.for<[code: string, more: object, kind: string, words: RegExp]>([
  ["ECONNREFUSED", {}, "unavailable", /the proxy proxy\.example:3128 does not answer: it refuses/],
  ["ENOTFOUND", {}, "failed_precondition", /the proxy proxy\.example:3128 is not found/],
  ["ERR_PROXY_TUNNEL", {}, "unavailable", /does not connect to images\.example:8443/],
  [
    "ERR_PROXY_TUNNEL",
    { statusCode: 503 },
    "unavailable",
    /the proxy proxy\.example:3128 answers 503 Service Unavailable instead of connecting to images/,
  ],
  ["ERR_PROXY_TUNNEL", { statusCode: 403 }, "failed_precondition", /answers 403 Forbidden instead/],
  ["ERR_PROXY_TUNNEL", { statusCode: 407 }, "failed_precondition", /HTTP_PROXY or HTTPS_PROXY/],
])("%s with %o of a proxy is %s, in words", ([code, more, kind, words]) => {
  const error = noAnswer(url, proxy, failed(code, more));
  expect(error.kind).toBe(kind);
  expect(error.message).toMatch(words);
  expect(error.message).not.toMatch(/ERR_|s3cret/);
});
