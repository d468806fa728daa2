import type { GroupsOfNetwork, Membership } from "../driver/network/security-groups.ts";
import type {
  GroupMembership,
  NodeGroup,
  GroupsOfNetwork as WireGroups,
  PortIdentity as WireIdentity,
} from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import type { SecurityGroupRules } from "../util/security-rule.ts";
import { required } from "./change.ts";

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

export function groupFromWire({ id, logsDropped, rules }: NodeGroup): SecurityGroupRules {
  return { id, logsDropped, rules };
}

export function identityFromWire(identity: WireIdentity) {
  const { hardwareAddress, addresses, allowedAddresses } = identity;
  return { hardwareAddress, addresses, allowedAddresses };
}
