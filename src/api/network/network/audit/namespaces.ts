import { objectKey } from "../../../../datastore/key.ts";
import {
  PartState,
  type SurveyedNetwork,
} from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import { canonicalAddress } from "../../../../util/cidr.ts";
import { counted } from "../../../../util/counted.ts";
import {
  formatRef,
  isSameRef,
  nameOnNode,
  nodeRef,
  type Ref,
  refOnNode,
} from "../../../../util/ref.ts";
import { digestOfMembers } from "../../../../util/security-rule.ts";
import { ANY, anyOn, type Finding as FindingOf } from "../../../core/audit/finding.ts";
import { type NetworkUse, type NodeView, onceIn, type View } from "../../../core/audit/view.ts";
import { nodes } from "../../../pool/node/collection.ts";
import type { Api } from "../../context.ts";
import { interfaces, taps } from "../../interface/collection.ts";
import { memberOf } from "../../security-group/on-node.ts";
import { mtuOf } from "../../segment/mtu.ts";
import { networks } from "../collection.ts";
import { vlanIn, vlanOf } from "../vlan.ts";
import type { Code } from "./codes.ts";
import { makeNetworkWhole, settleNodeRules, sweepNetwork } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

/** A nic that needs its network on the node. */
type Needed = NetworkUse & { readonly needs: NonNullable<NetworkUse["needs"]> };

/** Compares the namespaces and rules of one node. */
export async function compareNamespaces(node: NodeView): Promise<Finding[]> {
  const uses: NetworkUse[] = [];
  for (const user of node.view.interfaceUsers.values())
    uses.push(...(await user.networkUses(node)));
  return [
    ...node.survey.networks.flatMap((network) => compareNetwork(node, network, uses)),
    ...missingNetworks(node, uses),
    ...compareRest(node),
  ];
}

function neededIn(uses: readonly NetworkUse[], network: Ref): Needed[] {
  return uses.filter((use): use is Needed => isSameRef(use.network, network) && "needs" in use);
}

/** The keys of all objects on the node with a nic in the network, at rest or not. */
function keysOfUsers(uses: readonly NetworkUse[], network: Ref): string[] {
  const users = uses.filter((use) => isSameRef(use.network, network));
  return [networks.key(network), ...users.map(({ by }) => objectKey(by))];
}

function compareNetwork(
  node: NodeView,
  found: SurveyedNetwork,
  uses: readonly NetworkUse[],
): Finding[] {
  const { nodeName, view, survey } = node;
  const { name = "", gateways = [], transactionId = "" } = found.listed ?? {};
  const ref = refOnNode(networks.kind, name);
  const about = {
    resource: formatRef(ref),
    nodeName,
    keys: keysOfUsers(uses, ref),
    locks: [networks.key(ref)],
  };
  const hasTaps = survey.taps.some(({ listed }) => listed?.networkName === name);
  const users = neededIn(uses, ref);
  if (!hasTaps && users.length === 0) {
    return [{ ...withoutOwner(node, ref, found), ...about, madeBy: transactionId }];
  }
  const needs = users[0]?.needs;
  if (needs === undefined) return [];
  const { keys: _, ...wantedParts } = needs;
  const { ipv4Gateway, ipv6Gateway } = needs;
  const record = view.records.find(networks, ref)?.value;
  const size =
    record === undefined ? {} : { mtu: mtuOf(record), natOff: record.natOff, ...vlanIn(record) };
  const repair = makeNetworkWhole({ nodeName, network: ref, ...wantedParts, ...size });
  const wanted = addressesText([ipv4Gateway, ipv6Gateway]);
  const strays = straysText(node, "a filter", found.strayFilters);
  const findings: Finding[] = partsOf(found, record, strays).flatMap(([code, expected, word]) =>
    word === "" ? [] : [{ code, expected, found: word, ...about, repair }],
  );
  const wrongMembers = compareMembers(node, ref, found);
  if (wrongMembers !== undefined) {
    const keys = [...about.keys, ANY];
    findings.push({ code: "network.members_differ", ...about, ...wrongMembers, keys, repair });
  }
  if (record !== undefined && found.mtu !== 0 && found.mtu !== mtuOf(record)) {
    const [expected, what] = [`${mtuOf(record)} bytes`, `${found.mtu} bytes`];
    findings.push({ code: "network.mtu_differs", expected, found: what, ...about, repair });
  }
  const there = addressesText(gateways);
  if (found.bridge !== PartState.ABSENT && there !== wanted) {
    const [expected, what] = [wanted || "none", there || "none"];
    findings.push({ code: "network.gateway_differs", expected, found: what, ...about, repair });
  }
  const isRestWhole = findings.length === 0;
  const wrong = [wrongMetadata(found, isRestWhole), wrongServices(node, needs, found, isRestWhole)];
  findings.push(...wrong.flatMap((one) => (one ? { ...one, ...about, repair } : [])));
  return findings;
}

/** The code of each part, what it should be, and what is wrong with it; empty for nothing. */
function partsOf(
  found: SurveyedNetwork,
  record: Network | undefined,
  strays: string,
): readonly (readonly [Code, string, string])[] {
  return [
    ["network.bridge_broken", "a bridge that is up", wordOf(found.bridge)],
    ["network.uplink_broken", "an uplink to the node", wordOf(found.uplink)],
    [
      "network.rules_broken",
      "filter, NAT and forwarding",
      rulesWord(found) || wrongNat(found, record) || strays,
    ],
    ["network.vlan_differs", vlanText(record), wrongVlan(found, record)],
  ];
}

function withoutOwner({ nodeName, view }: NodeView, ref: Ref, { namespace }: SurveyedNetwork) {
  const isKnown = view.records.find(networks, ref) !== undefined;
  const why = isKnown ? "no virtual machine here needs it" : "it has no record";
  return {
    code: "network.without_owner",
    expected: `nothing: ${why}`,
    found: namespace === PartState.WHOLE ? "a namespace without taps" : "a bare name",
    repair: sweepNetwork(nodeName, ref),
  } as const;
}

/**
 * Empty if there are none. A tap that a nic has reserved may be away for another reason, which is a finding of
 * its own, and removing it removes the filter.
 */
function straysText(
  { nodeName, view }: NodeView,
  what: string,
  tapNames: readonly string[],
): string {
  const strays = tapNames.filter(
    (tapName) => view.records.find(taps, nodeName, tapName) === undefined,
  );
  return strays.map((tapName) => `${what} of tap "${tapName}", which is not there`).join(", ");
}

/**
 * Undefined also for a node whose agent has no DHCP and DNS.
 *
 * @param isRestWhole Whether the rest of the network is as it should be. If it is not, they cannot be for the network
 * as it should be either, and its repair is theirs.
 */
function wrongServices(
  node: NodeView,
  { services }: Needed["needs"],
  { services: state, served, strayEntries }: SurveyedNetwork,
  isRestWhole: boolean,
): { code: Code; expected: string; found: string } | undefined {
  if (services === undefined || state === PartState.UNSPECIFIED) return undefined;
  const [wanted, there] = [servicesText(services), served && servicesText(served)];
  if (there !== undefined && there !== wanted) {
    return { code: "network.services_differ", expected: wanted, found: there };
  }
  const isExplained = state === PartState.ALTERED && !isRestWhole;
  const word = (isExplained ? "" : wordOf(state)) || straysText(node, "an entry", strayEntries);
  if (word === "") return undefined;
  return { code: "network.services_broken", expected: "DHCP and DNS", found: word };
}

function servicesText(services: {
  readonly domain: string;
  readonly nameservers: readonly string[];
}): string {
  const nameservers = services.nameservers.map(canonicalAddress).join(", ");
  return `domain ${services.domain || "none"}, nameservers ${nameservers || "of the node"}`;
}

function vlanText(record: Network | undefined): string {
  const vlanId = record === undefined ? undefined : vlanOf(record);
  return vlanId === undefined ? "no VLAN" : `VLAN ${vlanId}`;
}

/** Empty if it is as in the record, and on a node that joins no VLANs. */
function wrongVlan({ external }: SurveyedNetwork, record: Network | undefined): string {
  if (external === undefined || record === undefined) return "";
  const { state, vlanId, device } = external;
  const found = state === PartState.ABSENT ? "no VLAN" : `VLAN ${vlanId}`;
  if (state === PartState.ALTERED) return `${found} of "${device}", changed`;
  return found === vlanText(record) ? "" : found;
}

/** Empty if it is as in the record. */
function wrongNat({ natOff }: SurveyedNetwork, record: Network | undefined): string {
  if (record === undefined || record.natOff === natOff) return "";
  return natOff ? "no way outside" : "a way outside, which nat_off forbids";
}

/** Equal for the same addresses, however they are written and in any order. */
function addressesText(addresses: readonly string[]): string {
  const texts = addresses.filter((address) => address !== "").map(canonicalAddress);
  return texts.sort().join(", ");
}

/** The rules of security groups count too, unless the agent is of a version without them. */
function rulesWord({ rules, groups }: SurveyedNetwork): string {
  return wordOf(rules) || (groups === undefined ? "" : wordOf(groups.state));
}

/**
 * Undefined also for an agent without metadata. A bridge that is down has lost addresses, and its repair adds them again.
 *
 * @param isRestWhole Whether the rest of the network is as it should be, without its services.
 */
function wrongMetadata({ metadata }: SurveyedNetwork, isRestWhole: boolean) {
  if (!isRestWhole || metadata === PartState.UNSPECIFIED) return undefined;
  const code: Code = "network.metadata_broken";
  const word = wordOf(metadata);
  return word === "" ? undefined : { code, expected: "metadata", found: word };
}

/** Undefined also while a push is on its way, and for a node that was never asked to enforce a group. */
function compareMembers({ nodeName, view }: NodeView, network: Ref, { groups }: SurveyedNetwork) {
  if (groups === undefined || groups.generation === 0n) return undefined;
  const api = view.api as Api;
  if (!api.groupPushes.isReached(nodeName, network)) return undefined;
  const all = onceIn(view, membersByNetwork).get(networks.key(network)) ?? [];
  const elsewhere = all.filter((member) => member.nodeName !== nodeName);
  if (digestOfMembers(elsewhere) === groups.members) return undefined;
  return { expected: `${counted(elsewhere.length, "member")} on other nodes`, found: "others" };
}

function membersByNetwork({ records }: View) {
  const members = records.list(interfaces).flatMap(({ key, value }) => {
    const member = memberOf(value);
    const network = networks.key({ ...interfaces.refOf(key), kind: networks.kind });
    return member === undefined ? [] : [{ ...member, network, nodeName: value.nodeName }];
  });
  return Map.groupBy(members, ({ network }) => network);
}

/** Empty for a whole part. */
function wordOf(state: PartState): string {
  if (state === PartState.WHOLE) return "";
  return state === PartState.ABSENT ? "missing" : "changed";
}

function missingNetworks({ nodeName, survey }: NodeView, uses: readonly NetworkUse[]): Finding[] {
  const there = new Set(survey.networks.map(({ listed }) => listed?.name ?? ""));
  const refs = new Map(uses.map(({ network }) => [networks.key(network), network]));
  return [...refs.values()].flatMap((ref) => {
    const users = neededIn(uses, ref);
    if (there.has(nameOnNode(ref)) || users.length === 0) return [];
    return [
      {
        code: "network.missing",
        resource: formatRef(ref),
        nodeName,
        expected: `its namespace, for ${users.map(({ by }) => `"${by.name}"`).join(", ")}`,
        found: "none",
        keys: [...keysOfUsers(uses, ref), ...users.flatMap(({ needs }) => needs.keys)],
      },
    ];
  });
}

function compareRest({ nodeName, survey }: NodeView): Finding[] {
  const node = nodeRef(nodeName);
  const about = { nodeName, keys: [anyOn(nodeName)], locks: [nodes.key(node)] };
  const findings: Finding[] = survey.strayUplinks.map(({ device, networkName }) => {
    const ref = refOnNode(networks.kind, networkName);
    return {
      code: "uplink.without_owner",
      resource: formatRef(ref),
      expected: "nothing",
      found: `veth "${device}"`,
      ...about,
      repair: sweepNetwork(nodeName, ref),
    };
  });
  findings.push(
    ...survey.strayServices.map((networkName): Finding => {
      const ref = refOnNode(networks.kind, networkName);
      return {
        code: "network.services_without_owner",
        resource: formatRef(ref),
        expected: "nothing",
        found: "files or processes of DHCP and DNS",
        ...about,
        repair: sweepNetwork(nodeName, ref),
      };
    }),
  );
  const hasNetworks = survey.networks.length > 0;
  const isThere = survey.nodeRules !== PartState.ABSENT;
  const resource = formatRef(node);
  const repair = settleNodeRules(nodeName);
  if (hasNetworks && survey.nodeRules !== PartState.WHOLE) {
    const [expected, found] = ["filter, NAT and forwarding", wordOf(survey.nodeRules)];
    findings.push({ code: "node.rules_broken", resource, expected, found, ...about, repair });
  } else if (!hasNetworks && isThere) {
    const [expected, found] = ["nothing", "rules of ours"];
    findings.push({
      code: "node.rules_without_owner",
      resource,
      expected,
      found,
      ...about,
      repair,
    });
  }
  return findings;
}
