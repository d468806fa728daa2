import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Stored } from "../../../datastore/records.ts";
import {
  type GetNetworkUseRequest,
  type GetNetworkUseResponseSchema,
  InterfaceUse_Holder as Holder,
  type InterfaceUseSchema,
  type NetworkUseService,
} from "../../../gen/n0stack/network/v1alpha1/network_use_pb.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { nameBeside, parseRef, parseRefOf, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { lastOf, pageToken } from "../../core/read/page-token.ts";
import { scopeOf } from "../../core/scope.ts";
import { getVisible } from "../../core/sharing.ts";
import type { Api } from "../context.ts";
import { type InterfaceReservation, interfaces } from "../interface/collection.ts";
import { ownInterfaceName, projectOfInterface } from "../interface/names.ts";
import { SECURITY_GROUP } from "../security-group/names.ts";
import { groupsOfInterface } from "../security-group/on-node.ts";
import { type Addressed, addressCounts, addressed } from "./address-count.ts";
import { networks } from "./collection.ts";
import { DEFAULT_GATEWAY, seenElsewhere, withInterfaces } from "./record.ts";

const CHANGES_MAX = 16;

export function networkUseRoutes(api: Api): ServiceImpl<typeof NetworkUseService> {
  return { getNetworkUse: (request, call) => getNetworkUse(api, call, request) };
}

/**
 * The network with a page of its interfaces, in the order of their addresses. A page token holds such a place
 * in the order, so it tells nothing that its page does not.
 *
 * @throws N0Error `not_found`; `invalid_argument` for a page token; `aborted` while the network changes.
 */
async function getNetworkUse(
  api: Api,
  call: Call,
  { networkName, pageSize, pageToken: token }: GetNetworkUseRequest,
): Promise<MessageInitShape<typeof GetNetworkUseResponseSchema>> {
  const project = scopeOf(call, networks.kind);
  const { network, ref, reserved } = await readTogether(api, project, networkName);
  const list = interfaces.under(ref);
  const after = token === "" ? "" : lastOf(list, token);
  const isOwn = ref.scope === project;

  const all = reserved.map(addressed);
  const seen = all.filter(({ reserved: one }) => isOwn || isSeenElsewhere(ref, one, project));
  const rest = seen
    .filter(({ place }) => place > after)
    .sort((a, b) => (a.place < b.place ? -1 : 1));
  const page = pageSize === 0 ? rest : rest.slice(0, pageSize);
  return {
    network: isOwn ? withInterfaces(network, []) : seenElsewhere(network),
    addressCounts: addressCounts(network, all),
    nodeNames: nodesOf(seen),
    interfaces: page.map(({ reserved: one }) => useOf(ref, one, project)),
    nextPageToken: page.length < rest.length ? pageToken(list, page.at(-1)!.place) : "",
  };
}

/** The network and its interfaces at one moment: a change of its CIDRs changes its record and its gateway. */
async function readTogether(api: Api, project: string, networkName: string) {
  for (let changes = 0; changes < CHANGES_MAX; changes++) {
    const by = { scope: project };
    const before = await getVisible(api, { of: networks, word: "network" }, by, networkName);
    const ref = networks.refOf(before.key);
    const reserved = await api.records.list(interfaces, [ref]);
    const after: Stored<Network> | undefined = await api.records.find(networks, ref);
    if (after?.revision !== before.revision) continue;
    return { ref, network: before.value, reserved: reserved.map(({ value }) => value) };
  }
  throw new N0Error("aborted", `network "${networkName}" is just changing: try again`, {
    retryAfterMs: 100,
  });
}

function isSeenElsewhere(network: Ref, { name }: InterfaceReservation, project: string): boolean {
  return name === DEFAULT_GATEWAY || projectOfInterface(network, name) === project;
}

function nodesOf(seen: readonly Addressed[]): string[] {
  const names = seen.map(({ reserved }) => reserved.nodeName).filter((name) => name !== "");
  return [...new Set(names)].sort();
}

/** The interface for a caller in this project. */
function useOf(
  network: Ref,
  reserved: InterfaceReservation,
  project: string,
): MessageInitShape<typeof InterfaceUseSchema> {
  const { name, owner, hardwareAddress, ipv4Address, ipv6Address, nodeName } = reserved;
  const secondaryAddresses = [...(reserved.secondaryAddresses ?? [])];
  const allowedAddresses = [...(reserved.allowedAddresses ?? [])];
  const lists = { secondaryAddresses, allowedAddresses };
  const addresses = { hardwareAddress, ipv4Address, ipv6Address, ...lists };
  if (name === DEFAULT_GATEWAY) return { ...addresses, name, holder: Holder.GATEWAY };
  if (projectOfInterface(network, name) !== project) {
    return { ...addresses, holder: Holder.OTHER_PROJECT };
  }
  const own = { ...addresses, name: ownInterfaceName(name) };
  const ref = parseRef(owner ?? "");
  if (ref === undefined) return { ...own, holder: Holder.USER };
  return {
    ...own,
    holder: Holder.OBJECT,
    object: `${ref.kind}/${nameBeside({ scope: project }, ref)}`,
    nicIndex: nicIndexOf(ref, own.name),
    nodeName,
    ...groupsOf(reserved, project),
  };
}

function groupsOf(reserved: InterfaceReservation, scope: string) {
  const groups = groupsOfInterface(reserved);
  if (groups === "off") return { securityGroupsOff: true };
  const refs = groups.flatMap((id) => parseRefOf(SECURITY_GROUP, id) ?? []);
  return { securityGroups: refs.map((ref) => nameBeside({ scope }, ref)) };
}

/** The name of a nic is that of its object and its number. A record that somebody wrote may have another one. */
function nicIndexOf({ name }: Ref, interfaceName: string): number {
  const index = Number(interfaceName.slice(name.length));
  return Number.isInteger(index) && index >= 0 ? index : 0;
}
