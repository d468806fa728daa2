import type { Stored } from "../../../datastore/records.ts";
import type { SecurityGroup } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { invalid } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import { getUsable } from "../../core/usable.ts";
import type { Api } from "../context.ts";
import { securityGroups } from "./collection.ts";
import { type GroupWish, ownNames, referredGroups } from "./names.ts";

/**
 * The groups to which an object of this scope begins to refer.
 *
 * @param texts as `ownNames` writes them.
 * @throws N0Error `not_found`, equally for one that does not exist and one that this project may not see.
 */
export async function readNamed(
  api: Api,
  by: Pick<Ref, "scope">,
  texts: readonly string[],
): Promise<Stored<SecurityGroup>[]> {
  const found: Stored<SecurityGroup>[] = [];
  const group = { of: securityGroups, word: "security group" };
  for (const text of new Set(referredGroups(texts))) {
    found.push(await getUsable(api, group, by, text));
  }
  return found;
}

/** @throws N0Error `invalid_argument` for groups of a nic that has none. */
export function checkWish(fieldPrefix: string, by: Pick<Ref, "scope">, wish: GroupWish): GroupWish {
  const { securityGroupsOff } = wish;
  if (securityGroupsOff && wish.securityGroups.length > 0) {
    throw invalid(`${fieldPrefix}security_groups`, "must be empty with security_groups_off");
  }
  return { securityGroups: ownNames(by, wish.securityGroups), securityGroupsOff };
}
