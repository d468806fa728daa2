import { N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { keptRequests } from "./kept-request.ts";

/** A client that repeats a request under the same key gets the answer of the first one. */
export const IDEMPOTENCY_HEADER = "idempotency-key";

const KEY_PATTERN = /^[\x21-\x7e]{1,128}$/;

/** Undefined if the client sent no key. @throws N0Error `invalid_argument` for a key that is not valid. */
export function requestKeyOf(header: Headers): string | undefined {
  const key = header.get(IDEMPOTENCY_HEADER);
  if (key === null) return undefined;
  if (KEY_PATTERN.test(key)) return key;
  throw keyError("must be 1 to 128 printable ASCII characters without spaces");
}

export function usedForAnother(requestKey: string): N0Error {
  const [, key] = keptRequests.parts(requestKey);
  return keyError(`${quote(key ?? "")} was used for another request: use a new one`);
}

function keyError(rule: string): N0Error {
  return new N0Error("invalid_argument", `header ${IDEMPOTENCY_HEADER}: ${rule}`, {
    field: IDEMPOTENCY_HEADER,
  });
}
