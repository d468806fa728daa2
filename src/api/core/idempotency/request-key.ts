import type { DescMethod } from "@bufbuild/protobuf";
import { ADMINISTRATOR, callerOf } from "../../../rpc/caller.ts";
import { N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { DEFAULT_SCOPE } from "../../../util/ref.ts";
import type { Call } from "../context.ts";
import { whereOf } from "../where.ts";
import { keptRequests } from "./kept-request.ts";

/** A client that repeats a request under the same key gets the answer of the first one. */
export const IDEMPOTENCY_HEADER = "idempotency-key";

const KEY_PATTERN = /^[\x21-\x7e]{1,128}$/;

/**
 * The key of the record of a request; undefined if the client sent no key. The same key of another principal,
 * or in another project, is another request.
 *
 * @throws N0Error `invalid_argument` for a key that is not valid.
 */
export function requestKeyOf(
  method: DescMethod,
  call: Pick<Call, "requestHeader" | "values">,
): string | undefined {
  const key = call.requestHeader.get(IDEMPOTENCY_HEADER);
  if (key === null) return undefined;
  if (!KEY_PATTERN.test(key)) {
    throw keyError("must be 1 to 128 printable ASCII characters without spaces");
  }
  const own = [`${method.parent.name}.${method.name}`, key] as const;
  const { project } = whereOf(call.values);
  const { principal } = call.values === undefined ? ADMINISTRATOR : callerOf(call.values);
  // An older version knew no others than these, and its records are still found.
  const isOldest = project === DEFAULT_SCOPE && principal === ADMINISTRATOR.principal;
  return isOldest ? keptRequests.key(...own) : keptRequests.key(...own, project, principal);
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
