import { keyText } from "../../../../datastore/key.ts";
import {
  PartState,
  type SurveyedNetwork,
} from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { canonicalAddress } from "../../../../util/cidr.ts";
import { nodeRef } from "../../../../util/ref.ts";
import { anyOn, type Finding as FindingOf } from "../../../core/audit/finding.ts";
import type { NetworkUse, NodeView } from "../../../core/audit/view.ts";
import { nodes } from "../../../pool/node/collection.ts";
import type { Api } from "../../context.ts";
import { networks } from "../collection.ts";
import type { Code } from "./codes.ts";
import { makeNetworkWhole, settleNodeRules, sweepNetwork } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

/** A nic that needs its network on the node. */
type Needed = NetworkUse & { readonly needs: NonNullable<NetworkUse["needs"]> };

/** The namespaces and rules of one node. */
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

function neededIn(uses: readonly NetworkUse[], networkName: string): Needed[] {
  return uses.filter((use): use is Needed => use.networkName === networkName && "needs" in use);
}

/** Keys of all objects on the node that have a nic in the network, at rest or not. */
function keysOfUsers(uses: readonly NetworkUse[], networkName: string): string[] {
  const users = uses.filter((use) => use.networkName === networkName);
  return [networks.key(networkName), ...users.map(({ key }) => key)];
}

function compareNetwork(
  node: NodeView,
  found: SurveyedNetwork,
  uses: readonly NetworkUse[],
): Finding[] {
  const { nodeName, view, survey } = node;
  const { name = "", gateways = [], transactionId = "" } = found.listed ?? {};
  const about = {
    resource: keyText(networks.key(name)),
    nodeName,
    keys: keysOfUsers(uses, name),
    locks: [networks.key(name)],
  };
  const hasTaps = survey.taps.some(({ listed }) => listed?.networkName === name);
  const users = neededIn(uses, name);
  if (!hasTaps && users.length === 0) {
    const what = found.namespace === PartState.WHOLE ? "a namespace without taps" : "a bare name";
    const isKnown = view.records.find(networks, name) !== undefined;
    const expected = isKnown ? "nothing: no machine here needs it" : "nothing: it has no record";
    const repair = sweepNetwork(nodeName, name);
    const madeBy = transactionId;
    return [{ code: "network.without_owner", expected, found: what, ...about, madeBy, repair }];
  }
  const needs = users[0]?.needs;
  if (needs === undefined) return [];
  const { ipv4Gateway, ipv6Gateway } = needs;
  const repair = makeNetworkWhole({ nodeName, networkName: name, ipv4Gateway, ipv6Gateway });
  const wanted = addressesText([ipv4Gateway, ipv6Gateway]);
  const parts: readonly (readonly [Code, string, string])[] = [
    ["network.bridge_broken", "a bridge that is up", wordOf(found.bridge)],
    ["network.uplink_broken", "a way to the node", wordOf(found.uplink)],
    ["network.rules_broken", "filter, NAT and forwarding", wordOf(found.rules)],
  ];
  const findings: Finding[] = parts.flatMap(([code, expected, word]) =>
    word === "" ? [] : [{ code, expected, found: word, ...about, repair }],
  );
  const there = addressesText(gateways);
  if (found.bridge !== PartState.ABSENT && there !== wanted) {
    const [expected, what] = [wanted || "none", there || "none"];
    findings.push({ code: "network.gateway_differs", expected, found: what, ...about, repair });
  }
  return findings;
}

/** The same for the same addresses, however they are written and in whatever order. */
function addressesText(addresses: readonly string[]): string {
  const texts = addresses.filter((address) => address !== "").map(canonicalAddress);
  return texts.sort().join(", ");
}

/** Empty for what is whole. */
function wordOf(state: PartState): string {
  if (state === PartState.WHOLE) return "";
  return state === PartState.ABSENT ? "missing" : "changed";
}

function missingNetworks({ nodeName, survey }: NodeView, uses: readonly NetworkUse[]): Finding[] {
  const there = new Set(survey.networks.map(({ listed }) => listed?.name ?? ""));
  const names = new Set(uses.map(({ networkName }) => networkName));
  return [...names].flatMap((name) => {
    const users = neededIn(uses, name);
    if (there.has(name) || users.length === 0) return [];
    return [
      {
        code: "network.missing",
        resource: keyText(networks.key(name)),
        nodeName,
        expected: `its namespace, for ${users.map((user) => `"${user.name}"`).join(", ")}`,
        found: "none",
        keys: [...keysOfUsers(uses, name), ...users.flatMap(({ needs }) => needs.keys)],
      },
    ];
  });
}

function compareRest({ nodeName, survey }: NodeView): Finding[] {
  const about = { nodeName, keys: [anyOn(nodeName)], locks: [nodes.key(nodeRef(nodeName))] };
  const findings: Finding[] = survey.strayUplinks.map(({ device, networkName }) => ({
    code: "uplink.without_owner",
    resource: keyText(networks.key(networkName)),
    expected: "nothing",
    found: `veth "${device}"`,
    ...about,
    repair: sweepNetwork(nodeName, networkName),
  }));
  const hasNetworks = survey.networks.length > 0;
  const isThere = survey.nodeRules !== PartState.ABSENT;
  const resource = `node/${nodeName}`;
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
