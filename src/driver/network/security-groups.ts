import { invalid, N0Error } from "../../util/errors.ts";
import { quote } from "../../util/quote.ts";
import { checkSecurityRule, type SecurityGroupRules } from "../../util/security-rule.ts";
import { checkEntry, type GuestEntry } from "./network-services.ts";
import { checkIdentity, type PortIdentity } from "./port-identity.ts";
import type { PortLimits } from "./port-limits.ts";

/** The security groups of a nic: what they let pass passes. */
export type NicGroups = readonly SecurityGroupRules[];

/** A nic on another node. */
export interface GroupMember {
  readonly identity: PortIdentity;
  /** The ids of its groups. */
  readonly groupIds: readonly string[];
}

/** The members of groups on other nodes, as they are in the records at this generation. */
export interface Membership {
  readonly generation: bigint;
  readonly members: readonly GroupMember[];
}

/** What a network on this node must know of security groups besides its own nics. */
export interface GroupsOfNetwork extends Membership {
  /** The groups of the nics of this node. */
  readonly groups: readonly SecurityGroupRules[];
}

/** What a tap gets besides its network. */
export interface PortSpec {
  /** Who the guest is. Undefined from an API that does not say it: then the filter stays as it is. */
  readonly identity?: PortIdentity;
  /** Its security groups, or `off` for none. If undefined, they stay as they are. */
  readonly groups?: NicGroups | "off";
  /** If undefined, they stay as they are; a new tap has none. */
  readonly limits?: PortLimits;
  /** How DHCP and DNS of the network know the guest, if it has these services. If undefined, as before. */
  readonly entry?: GuestEntry;
}

/**
 * `needs_members`: the network is here, and the tap is not in it, because nobody has told the node who the members
 * of groups on other nodes are. Call `applyGroups` first.
 */
export type Attached = "attached" | "needs_members";

/** The groups of one tap, as its node has them. */
export interface PortGroupsSurvey {
  /** `altered`: not all of its elements are there, or its rules were changed by hand. */
  readonly state: "whole" | "absent" | "altered";
  /** The short digests of the ids of its groups. */
  readonly groups: readonly string[];
  /** The digest of their rules. */
  readonly rules: string;
}

/** A combination has so few groups that the comment of an element names them. */
const GROUPS_MAX = 8;
const RULES_MAX = 256;
/** As `formatRef` writes it. */
const GROUP_ID = /^security_group(\/[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}){1,2}$/;

/** The driver checks last, because ids become names, and rules become commands. @throws N0Error `invalid_argument`. */
export function checkGroups(groups: NicGroups): NicGroups {
  if (groups.length > GROUPS_MAX) throw invalid("security_groups", `at most ${GROUPS_MAX}`);
  const checked = groups.map(checkGroup).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const twice = checked.find(({ id }, i) => checked[i - 1]?.id === id);
  if (twice === undefined) return checked;
  throw invalid("security_groups", `names ${quote(twice.id)} twice`);
}

/**
 * @param canJudge whether the kernel can enforce rules.
 * @throws N0Error `invalid_argument`; `failed_precondition` for other groups than `default` if it cannot.
 */
export function checkPort({ identity, groups, entry }: PortSpec, canJudge: boolean) {
  const checked = groups === undefined || groups === "off" ? groups : checkGroups(groups);
  const isNamed = Array.isArray(checked) && checked.some(({ id }) => !id.endsWith("/default"));
  if (isNamed && !canJudge) {
    throw new N0Error(
      "failed_precondition",
      "the kernel of the node cannot enforce security groups: load its module br_netfilter, or leave security_groups empty",
      { field: "security_groups" },
    );
  }
  return {
    identity: identity === undefined ? undefined : checkIdentity(identity),
    groups: canJudge || checked === "off" ? checked : undefined,
    entry: entry === undefined ? undefined : checkEntry(entry),
  };
}

function checkGroup({ id, logsDropped, rules }: SecurityGroupRules): SecurityGroupRules {
  checkId(id);
  if (rules.length > RULES_MAX) throw invalid("rules", `at most ${RULES_MAX} in a group`);
  const checked = rules.map((rule, i) => {
    if (rule.remoteGroup !== "") checkId(rule.remoteGroup);
    return checkSecurityRule(`rules[${i}].`, rule);
  });
  return { id, logsDropped, rules: checked };
}

function checkId(id: string): void {
  if (!GROUP_ID.test(id)) throw invalid("security_groups", `${quote(id)} must be a security group`);
}

/** @throws N0Error `invalid_argument`. */
function checkMembers(members: readonly GroupMember[]): readonly GroupMember[] {
  return members.map(({ identity, groupIds }) => {
    for (const id of groupIds) checkId(id);
    return { identity: checkIdentity(identity), groupIds };
  });
}

/** @throws N0Error `invalid_argument`. */
export function checkGroupsOfNetwork(wanted: GroupsOfNetwork): GroupsOfNetwork {
  const { generation, groups, members } = wanted;
  return { generation, groups: groups.map(checkGroup), members: checkMembers(members) };
}
