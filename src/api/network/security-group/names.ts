import { formatRef, nameBeside, type Ref, refBeside } from "../../../util/ref.ts";

export const SECURITY_GROUP = "security_group";
/** A nic that names no group is in the one of this name in its project, also while nobody has applied it. */
const DEFAULT_GROUP = "default";

/** The ids of the groups of a nic, in order; `off` for a nic that lets everything pass. It is part of records. */
export type NicGroups = readonly string[] | "off";

/** The security groups of a nic, as users write them. */
export interface GroupWish {
  readonly securityGroups: readonly string[];
  readonly securityGroupsOff: boolean;
}

/** A security group that an object names. */
export function groupBeside(by: Pick<Ref, "scope">, text: string): Ref {
  return refBeside(by, SECURITY_GROUP, text);
}

export function isDefault({ name }: Pick<Ref, "name">): boolean {
  return name === DEFAULT_GROUP;
}

/** Of a nic of an object in this scope. */
export function nicGroups(by: Pick<Ref, "scope">, wish: GroupWish): NicGroups {
  if (wish.securityGroupsOff) return "off";
  const named = wish.securityGroups.length === 0 ? [DEFAULT_GROUP] : wish.securityGroups;
  return [...new Set(named.map((text) => formatRef(groupBeside(by, text))))].sort();
}

/** Each name as the own project writes it. */
export function ownNames(by: Pick<Ref, "scope">, texts: readonly string[]): string[] {
  return [...new Set(texts.map((text) => nameBeside(by, groupBeside(by, text))))];
}

/** Of names as `ownNames` writes them, the references. Nothing keeps the own default group, which always exists. */
export function referredGroups(texts: readonly string[]): readonly string[] {
  return texts.filter((text) => text !== "" && text !== DEFAULT_GROUP);
}
