import { callerOf, NOBODY } from "../../../rpc/caller.ts";
import { N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { type Place, placeText, SYSTEM } from "../access/place.ts";
import type { Api } from "../context.ts";

/**
 * @throws N0Error `invalid_argument` for a permission that no RPC needs; `permission_denied` for one that the
 * caller does not have in the whole cloud, because the role may be his own.
 */
export function throwUnlessPermissions(
  { grants }: Api,
  call: Call,
  role: Ref,
  permissions: readonly string[],
): void {
  for (const [index, pattern] of permissions.entries()) {
    grants.catalog.check(`permissions[${index}]`, pattern);
  }
  throwUnlessGivable({ grants }, call, role, permissions, SYSTEM);
}

/** @throws N0Error `permission_denied` if the caller would give more than he may do there. */
export function throwUnlessGivable(
  { grants }: Pick<Api, "grants">,
  { values }: Pick<Call, "values">,
  of: Ref,
  permissions: readonly string[],
  at: Place,
): void {
  const caller = values === undefined ? NOBODY : callerOf(values);
  const missing = permissions.find((pattern) => !grants.mayGive(caller, [pattern], at));
  if (missing === undefined) return;
  throw new N0Error(
    "permission_denied",
    `${caller.principal} cannot give the permission ${quote(missing)} in ${placeText(at)} without having it there`,
    { resource: formatRef(of) },
  );
}
