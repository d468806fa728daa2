import type { GroupsOfNetwork, Membership, PortSpec } from "../driver/network/security-groups.ts";
import type {
  GroupMembership,
  NodeGroup,
  PortGroups,
  GroupsOfNetwork as WireGroups,
  PortIdentity as WireIdentity,
} from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { defined } from "../util/defined.ts";
import type { SecurityGroupRules } from "../util/security-rule.ts";
import { required } from "./change.ts";

/** What an API does not say stays as it is. */
export function portFromWire(
  identity: WireIdentity | undefined,
  groups: PortGroups | undefined,
): PortSpec {
  const port = defined({
    identity: identity === undefined ? undefined : identityFromWire(identity),
  });
  if (groups === undefined) return port;
  return { ...port, groups: groups.off ? "off" : groups.groups.map(groupFromWire) };
}

export function groupsFromWire({ membership, groups }: WireGroups): GroupsOfNetwork {
  const { generation, members } = membershipFromWire(required("membership", membership));
  return { generation, members, groups: groups.map(groupFromWire) };
}

function membershipFromWire({ generation, members }: GroupMembership): Membership {
  return {
    generation,
    members: members.map(({ identity, groupIds }) => ({
      identity: identityFromWire(required("identity", identity)),
      groupIds,
    })),
  };
}

function groupFromWire({ id, logsDropped, rules }: NodeGroup): SecurityGroupRules {
  return { id, logsDropped, rules };
}

function identityFromWire({ hardwareAddress, addresses }: WireIdentity) {
  return { hardwareAddress, addresses };
}
