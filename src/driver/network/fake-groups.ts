import { defined } from "../../util/defined.ts";
import type { NamedGuest } from "../../util/guest-name.ts";
import { digestOfGroups, digestOfMembers, shortDigest } from "../../util/security-rule.ts";
import type { Mark } from "../mark.ts";
import type { GuestEntry, NetworkServices } from "./network-services.ts";
import type { NetworkGroupsSurvey, NetworkPartsSurvey, SegmentSurvey } from "./network-survey.ts";
import type { PortIdentity } from "./port-identity.ts";
import type { PortLimits } from "./port-limits.ts";
import type {
  checkPort,
  GroupMember,
  GroupsOfNetwork,
  Membership,
  NicGroups,
  PortGroupsSurvey,
} from "./security-groups.ts";

export interface FakeTap {
  readonly mark: Mark;
  readonly networkName?: string;
  /** Somebody has taken the tap off its bridge. */
  readonly isLoose?: boolean;
  /** Whose packets its filter lets pass; undefined: it has no filter. */
  readonly identity?: PortIdentity;
  /** Undefined: that of Ethernet. */
  readonly mtu?: number;
  /** Undefined: it has none. */
  readonly limits?: PortLimits;
  /** The ids of its security groups. */
  readonly groupIds?: readonly string[];
  /** How DHCP and DNS of its network know the guest; undefined: they do not. */
  readonly entry?: GuestEntry;
}

export interface FakeNetwork {
  readonly mark: Mark;
  readonly gateways: readonly string[];
  readonly mtu?: number;
  readonly isNatOff?: true;
  /** Of a network that has joined a VLAN. */
  readonly vlanId?: number;
  readonly segment?: SegmentSurvey;
  readonly services?: NetworkServices;
  /** The guests on other nodes that DNS knows. */
  readonly elsewhere?: readonly NamedGuest[];
  /** The generation of the members of groups, once somebody has told it; as text, because it is shown as JSON. */
  readonly generation?: string;
  readonly members?: readonly GroupMember[];
  /** The digests of the rules of combinations of groups, by their ids. */
  readonly rules?: Readonly<Record<string, string>>;
  /** The parts that somebody has removed or changed. */
  readonly damage?: Partial<NetworkPartsSurvey>;
}

/** The security groups of the fake network driver. */
export function newFakeGroups(
  taps: ReadonlyMap<string, FakeTap>,
  networks: Map<string, FakeNetwork>,
) {
  /** The ids of the groups that the tap gets, if it gets any. */
  function takeGroups(
    networkName: string,
    { identity, groups }: ReturnType<typeof checkPort>,
  ): readonly string[] | "needs_members" | undefined {
    if (groups === undefined || groups === "off" || identity === undefined) return undefined;
    const network = networks.get(networkName)!;
    if (network.generation === undefined) return "needs_members";
    const rules = { ...network.rules, [keyOf(groups)]: digestOfGroups(groups) };
    networks.set(networkName, { ...network, rules });
    return groups.map(({ id }) => id);
  }

  function applyGroups(networkName: string, wanted: GroupsOfNetwork, isForced = false): void {
    const network = networks.get(networkName);
    if (network === undefined) return;
    if (BigInt(network.generation ?? 0) > wanted.generation && !isForced) return;
    const rules: Record<string, string> = {};
    for (const [key, digest] of Object.entries(network.rules ?? {})) {
      if (!combinationsIn(networkName).has(key)) continue;
      const groups = key.split(" ").map((id) => wanted.groups.find((one) => one.id === id));
      const isKnown = groups.every((one) => one !== undefined);
      rules[key] = isKnown ? digestOfGroups(groups) : digest;
    }
    networks.set(networkName, { ...network, ...noted(wanted), rules });
  }

  const combinationsIn = (networkName: string) =>
    new Set(
      [...taps.values()].flatMap(({ networkName: there, groupIds }) =>
        there === networkName && groupIds !== undefined ? [groupIds.join(" ")] : [],
      ),
    );

  function groupsOf({ networkName, groupIds }: FakeTap): PortGroupsSurvey {
    const rules = groupIds && networks.get(networkName ?? "")?.rules?.[groupIds.join(" ")];
    if (groupIds === undefined) return { state: "absent", groups: [], rules: "" };
    if (rules === undefined) return { state: "altered", groups: [], rules: "" };
    return { state: "whole", groups: groupIds.map(shortDigest), rules };
  }

  /**
   * A combination goes with the last tap that has it. The generation says when somebody told something, and not what.
   */
  function withoutUnused(
    name: string,
    { rules, generation: _, ...network }: FakeNetwork,
  ): FakeNetwork {
    const used = combinationsIn(name);
    const kept = Object.entries(rules ?? {}).filter(([key]) => used.has(key));
    return kept.length === 0 ? network : { ...network, rules: Object.fromEntries(kept) };
  }

  return { takeGroups, applyGroups, groupsOf, withoutUnused };
}

function noted({ generation, members }: Membership) {
  return { generation: String(generation), members };
}

function keyOf(groups: NicGroups): string {
  return groups.map(({ id }) => id).join(" ");
}

export function groupsSurvey({ generation, members = [] }: FakeNetwork): NetworkGroupsSurvey {
  const all = members.map(({ identity, groupIds }) => ({ ...identity, groupIds }));
  return {
    state: "whole",
    ...defined({ generation: generation === undefined ? undefined : BigInt(generation) }),
    members: digestOfMembers(all),
  };
}
