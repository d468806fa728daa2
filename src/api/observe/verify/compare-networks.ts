import { keyText } from "../../../datastore/key.ts";
import {
  PartState,
  type SurveyedNetwork,
  type SurveyedTap,
} from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress } from "../../../util/cidr.ts";
import { parseRefOf } from "../../../util/ref.ts";
import { taps } from "../../network/interface/collection.ts";
import { networks } from "../../network/network/collection.ts";
import { nodes } from "../../pool/node/collection.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { ownerOf } from "../../provisioning/virtual-machine/record.ts";
import type { Tap } from "../../provisioning/virtual-machine/tap-steps.ts";
import type { Code } from "./codes.ts";
import { isActive } from "./compare-domains.ts";
import { anyOn, type Finding } from "./finding.ts";
import {
  connectTap,
  makeNetworkWhole,
  removeTap,
  settleNodeRules,
  sweepNetwork,
} from "./repair-network.ts";
import { keysOfUsers, machinesOn, type NodeView, settledOn } from "./view.ts";

/** A tap that must be there, for its domain has it open. */
interface Needed {
  readonly tap: Tap;
  readonly keys: readonly string[];
}

/** The taps, namespaces and rules of one node. */
export function compareNetworks(node: NodeView): Finding[] {
  const needed = neededTaps(node);
  const taps = new Map(node.survey.taps.map((tap) => [tap.listed?.name ?? "", tap]));
  return [
    ...needed.flatMap((one) => compareTap(node, one, taps.get(one.tap.tapName))),
    ...strangeTaps(node),
    ...node.survey.networks.flatMap((network) => compareNetwork(node, network, needed)),
    ...missingNetworks(node, needed),
    ...compareRest(node),
  ];
}

function neededTaps(node: NodeView): Needed[] {
  const active = new Set(
    node.survey.domains.filter(isActive).map(({ listed }) => listed?.domain?.name),
  );
  return settledOn(node)
    .filter(({ vm }) => active.has(vm.name))
    .flatMap(({ plan, keys }) => plan.taps.map((tap) => ({ tap, keys })));
}

function compareTap(
  { nodeName }: NodeView,
  { tap, keys }: Needed,
  found: SurveyedTap | undefined,
): Finding[] {
  const about = { resource: ownerOf(tap.name), nodeName, keys };
  const expected = `tap "${tap.tapName}" in network "${tap.networkName}"`;
  if (found === undefined) return [{ code: "tap.missing", expected, found: "none", ...about }];
  const there = found.listed?.networkName ?? "";
  if (there !== tap.networkName) {
    const where = there === "" ? "outside of any network" : `in network "${there}"`;
    return [{ code: "tap.elsewhere", expected, found: where, ...about, repair: connectTap(tap) }];
  }
  if (found.isConnected) return [];
  const repair = connectTap(tap);
  return [{ code: "tap.not_connected", expected, found: "not connected", ...about, repair }];
}

function strangeTaps(node: NodeView): Finding[] {
  const { survey } = node;
  const owners = new Map(
    machinesOn(node).flatMap(({ vm, plan, keys }) =>
      (plan?.taps ?? []).map(({ tapName }) => [tapName, { vm, keys }] as const),
    ),
  );
  const domains = new Map(survey.domains.map((found) => [found.listed?.domain?.name, found]));
  return survey.taps.flatMap((found) => {
    const owner = owners.get(found.listed?.name ?? "");
    if (owner === undefined) return isUndecided(node, found) ? [] : [withoutOwner(node, found)];
    const domain = domains.get(owner.vm.name);
    const isUsed = owner.vm.state !== State.SHUTDOWN || (domain !== undefined && isActive(domain));
    return isUsed ? [] : [leftOver(node, found, owner.vm.name, owner.keys)];
  });
}

/** Its machine is here, and what its records lack is found elsewhere: nobody can tell which taps it has. */
function isUndecided(node: NodeView, { listed }: SurveyedTap): boolean {
  return machinesOn(node).some(
    ({ vm, plan }) => plan === undefined && ownerOf(vm.name) === listed?.owner,
  );
}

function withoutOwner({ nodeName, view }: NodeView, { listed }: SurveyedTap): Finding {
  const { name = "", owner = "", transactionId = "", networkName = "" } = listed ?? {};
  const vm = parseRefOf("virtual_machine", owner);
  // Its maker had no time to say whose it is: whoever reserved the name may be at work.
  const isMarked = vm !== undefined;
  const isReserved = view.records.find(taps, nodeName, name) !== undefined;
  return {
    code: "tap.without_owner",
    resource: isMarked ? owner : `tap/${name}`,
    nodeName,
    expected: "nothing",
    found: `tap "${name}"${networkName === "" ? "" : ` in network "${networkName}"`}`,
    keys: isMarked ? [virtualMachines.key(vm)] : [anyOn(nodeName)],
    madeBy: transactionId,
    ...(isReserved && !isMarked ? {} : { repair: removeTap(nodeName, name, owner, networkName) }),
  };
}

function leftOver(
  { nodeName }: NodeView,
  { listed }: SurveyedTap,
  vmName: string,
  keys: readonly string[],
): Finding {
  const { name = "", networkName = "", transactionId = "" } = listed ?? {};
  return {
    code: "tap.left_over",
    resource: ownerOf(vmName),
    nodeName,
    expected: "none: it is shut down",
    found: `tap "${name}"`,
    keys,
    madeBy: transactionId,
    repair: removeTap(nodeName, name, ownerOf(vmName), networkName),
  };
}

function compareNetwork(
  node: NodeView,
  found: SurveyedNetwork,
  needed: readonly Needed[],
): Finding[] {
  const { nodeName, view, survey } = node;
  const { name = "", gateways = [], transactionId = "" } = found.listed ?? {};
  const about = {
    resource: keyText(networks.key(name)),
    nodeName,
    keys: keysOfUsers(node, name),
    locks: [networks.key(name)],
  };
  const hasTaps = survey.taps.some(({ listed }) => listed?.networkName === name);
  const users = needed.filter(({ tap }) => tap.networkName === name);
  if (!hasTaps && users.length === 0) {
    const what = found.namespace === PartState.WHOLE ? "a namespace without taps" : "a bare name";
    const isKnown = view.records.find(networks, name) !== undefined;
    const expected = isKnown ? "nothing: no machine here needs it" : "nothing: it has no record";
    const repair = sweepNetwork(nodeName, name);
    const madeBy = transactionId;
    return [{ code: "network.without_owner", expected, found: what, ...about, madeBy, repair }];
  }
  const tap = users[0]?.tap;
  if (tap === undefined) return [];
  const repair = makeNetworkWhole(tap);
  const wanted = addressesText([tap.ipv4Gateway, tap.ipv6Gateway]);
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

function missingNetworks(node: NodeView, needed: readonly Needed[]): Finding[] {
  const { nodeName, survey } = node;
  const there = new Set(survey.networks.map(({ listed }) => listed?.name ?? ""));
  const names = new Set(needed.map(({ tap }) => tap.networkName));
  return [...names].flatMap((name) => {
    if (there.has(name)) return [];
    const users = needed.filter(({ tap }) => tap.networkName === name);
    return [
      {
        code: "network.missing",
        resource: keyText(networks.key(name)),
        nodeName,
        expected: `its namespace, for ${users.map(({ tap }) => `"${tap.name}"`).join(", ")}`,
        found: "none",
        keys: [...keysOfUsers(node, name), ...users.flatMap(({ keys }) => keys)],
      },
    ];
  });
}

function compareRest({ nodeName, survey }: NodeView): Finding[] {
  const about = { nodeName, keys: [anyOn(nodeName)], locks: [nodes.key(nodeName)] };
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
