import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Entry } from "../../../datastore/datastore.ts";
import type {
  GroupMembershipSchema,
  GroupsOfNetworkSchema,
  NodeGroupSchema,
  PortGroupsSchema,
} from "../../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import type { SecurityGroup } from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { formatRef, nameOnNode, parseRef, parseRefOf, type Ref } from "../../../util/ref.ts";
import type { MemberOfGroups, SecurityGroupRules } from "../../../util/security-rule.ts";
import type { Api, Reader } from "../../core/context.ts";
import { type InterfaceReservation, interfaces, spokenAddresses } from "../interface/collection.ts";
import { securityGroups } from "./collection.ts";
import { groupBeside, isDefault, type NicGroups, nicGroups, SECURITY_GROUP } from "./names.ts";

const NAMES_NONE = { securityGroups: [], securityGroupsOff: false };

/** The groups of an interface: `off` also for one that belongs to no virtual machine. */
export function groupsOfInterface({
  owner,
  nodeName,
  securityGroups,
}: Pick<InterfaceReservation, "owner" | "nodeName" | "securityGroups">): NicGroups {
  const ref = parseRef(owner ?? "");
  if (ref === undefined || nodeName === "") return "off";
  return securityGroups ?? nicGroups(ref, NAMES_NONE);
}

/** An interface as a member of its groups; undefined without groups. */
export function memberOf(reserved: InterfaceReservation): MemberOfGroups | undefined {
  const groupIds = groupsOfInterface(reserved);
  if (groupIds === "off") return undefined;
  return {
    hardwareAddress: reserved.hardwareAddress,
    addresses: spokenAddresses(reserved),
    groupIds,
  };
}

async function readRules(api: Reader, id: string): Promise<SecurityGroupRules> {
  const ref = parseRefOf(SECURITY_GROUP, id);
  return rulesOfId(id, ref && (await api.records.find(securityGroups, ref))?.value);
}

/**
 * The rules of a group, by its id, as a node needs them. Undefined stands for no group: the default one of a project
 * lets in what comes from the same group then, and any other one lets nothing in.
 */
export function rulesOfId(id: string, group: SecurityGroup | undefined): SecurityGroupRules {
  const ref = parseRefOf(SECURITY_GROUP, id);
  if (ref !== undefined && group !== undefined) return rulesOf(ref, group);
  const isOpen = ref !== undefined && isDefault(ref);
  return { id, logsDropped: false, rules: isOpen ? [fromSame(id)] : [] };
}

/** What the default group of a project lets in while nobody has applied one of this name. */
function fromSame(id: string): SecurityGroupRules["rules"][number] {
  const none = { ports: "", icmpType: "", remoteCidr: "" };
  const every = { action: "allow", priority: 0, protocol: "any" };
  return { direction: "ingress", ...every, ...none, remoteGroup: id };
}

function rulesOf(ref: Ref, { rules, logDropped }: SecurityGroup): SecurityGroupRules {
  return {
    id: formatRef(ref),
    logsDropped: logDropped,
    rules: rules.map(({ $typeName: _, $unknown: __, ...rule }) => {
      const { remoteGroup } = rule;
      const other = remoteGroup === "" ? "" : formatRef(groupBeside(ref, remoteGroup));
      return { ...rule, remoteGroup: other };
    }),
  };
}

export async function readAllRules(
  api: Reader,
  ids: Iterable<string>,
): Promise<SecurityGroupRules[]> {
  const found: SecurityGroupRules[] = [];
  for (const id of ids) found.push(await readRules(api, id));
  return found;
}

/** For the request that puts a tap into its network. */
export async function portGroupsMessage(
  api: Reader,
  groups: NicGroups,
): Promise<MessageInitShape<typeof PortGroupsSchema>> {
  if (groups === "off") return { off: true };
  return { groups: (await readAllRules(api, groups)).map(groupMessage) };
}

function groupMessage({
  rules,
  ...group
}: SecurityGroupRules): MessageInitShape<typeof NodeGroupSchema> {
  return { ...group, rules: rules.map((rule) => ({ ...rule })) };
}

/** Everything that a node needs to know of the groups of one network, as the records are now. */
export async function readGroupsOfNetwork(
  api: Pick<Api, "datastore" | "records">,
  network: Ref,
  nodeName: string,
): Promise<MessageInitShape<typeof GroupsOfNetworkSchema>> {
  const { entries, revision } = await api.datastore.snapshot(interfaces.under(network));
  const reserved = entries.map(({ value }: Entry) => interfaces.decode(value));
  const here = reserved.filter((one) => one.nodeName === nodeName).map(groupsOfInterface);
  const ids = new Set(here.flatMap((groups) => (groups === "off" ? [] : groups)));
  const elsewhere = reserved.filter((one) => one.nodeName !== nodeName);
  const members = elsewhere.flatMap((one) => memberMessage(one) ?? []);
  return await groupsMessage(api, network, { generation: BigInt(revision), members }, ids);
}

/** An interface as a node learns of it on which it is not; undefined without groups. */
export function memberMessage(reserved: InterfaceReservation) {
  const member = memberOf(reserved);
  if (member === undefined) return undefined;
  const { groupIds, ...identity } = member;
  return {
    identity: { ...identity, addresses: [...identity.addresses] },
    groupIds: [...groupIds],
  };
}

/** @param ids of the groups of the nics on the node. */
export async function groupsMessage(
  api: Reader,
  network: Ref,
  membership: MessageInitShape<typeof GroupMembershipSchema>,
  ids: Iterable<string>,
): Promise<MessageInitShape<typeof GroupsOfNetworkSchema>> {
  const groups = (await readAllRules(api, ids)).map(groupMessage);
  return { networkName: nameOnNode(network), membership, groups };
}
