import { PartState, type SurveyedTap } from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress } from "../../../../util/cidr.ts";
import { counted } from "../../../../util/counted.ts";
import { formatRef, nameOnNode, nodeRef, parseRefOf } from "../../../../util/ref.ts";
import { digestOfGroups, shortDigest } from "../../../../util/security-rule.ts";
import { anyOn, type Finding as FindingOf } from "../../../core/audit/finding.ts";
import { taps } from "../../../network/interface/collection.ts";
import { securityGroups } from "../../../network/security-group/collection.ts";
import { rulesOfId } from "../../../network/security-group/on-node.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import type { Tap, TapGuest, TapIdentity } from "../domain/tap-steps.ts";
import { limitsText, NO_LIMITS, tapLimits } from "../nics/limits.ts";
import type { Code } from "./codes.ts";
import { isActive } from "./domains.ts";
import { connectTap, limitAgain, removeTap } from "./repair.ts";
import { type MachineNodeView, machinesOn, type PlannedMachine, settledOn } from "./view.ts";

type Finding = FindingOf<Code, Api>;
type NodeView = MachineNodeView;

/** Compares the taps of one node. */
export function compareTaps(node: NodeView): Finding[] {
  const taps = new Map(node.survey.taps.map((tap) => [tap.listed?.name ?? "", tap]));
  const needed = neededTaps(node);
  return [
    ...needed.flatMap((one) => compareTap(node, one, taps.get(one.tap.tapName))),
    ...strangeTaps(node),
    ...withoutGroups(node, needed, taps),
  ];
}

/** An agent of a version before says nothing of groups, and enforces none. */
function withoutGroups(
  { nodeName }: NodeView,
  needed: readonly Needed[],
  found: ReadonlyMap<string, SurveyedTap>,
): Finding[] {
  const open = needed.filter(({ tap }) => {
    const there = found.get(tap.tapName);
    return tap.groups !== "off" && there !== undefined && there.groups === undefined;
  });
  if (open.length === 0) return [];
  const node = nodeRef(nodeName);
  return [
    {
      code: "node.groups_not_enforced",
      resource: formatRef(node),
      nodeName,
      expected: "an agent that enforces security groups",
      found: `one of a version before, with ${counted(open.length, "nic")} that should be in groups`,
      keys: [anyOn(nodeName)],
    },
  ];
}

/** A tap that must exist, because its domain has it open. */
interface Needed {
  readonly tap: Tap;
  readonly keys: readonly string[];
}

export function neededTaps(node: NodeView): Needed[] {
  const active = new Set(
    node.survey.domains.filter(isActive).map(({ listed }) => listed?.domain?.name),
  );
  return settledOn(node)
    .filter(({ ref }) => active.has(nameOnNode(ref)))
    .flatMap(({ plan, keys }) => plan.taps.map((tap) => ({ tap, keys })));
}

function compareTap(
  { nodeName, view }: NodeView,
  { tap, keys }: Needed,
  found: SurveyedTap | undefined,
): Finding[] {
  const about = { resource: formatRef(tap.ref), nodeName, keys };
  const expected = `tap "${tap.tapName}" in network "${tap.network.name}"`;
  if (found === undefined) return [{ code: "tap.missing", expected, found: "none", ...about }];
  const there = found.listed?.networkName ?? "";
  if (there !== nameOnNode(tap.network)) {
    const where = there === "" ? "outside of any network" : `in network "${there}"`;
    return [{ code: "tap.elsewhere", expected, found: where, ...about, repair: connectTap(tap) }];
  }
  const repair = connectTap(tap);
  const findings: Finding[] = [];
  if (!found.isConnected) {
    const what = "not connected";
    findings.push({ code: "tap.not_connected", expected, found: what, ...about, repair });
  }
  const wrong = wrongFilter(tap, found);
  if (wrong !== undefined) {
    findings.push({ code: "tap.filter_differs", ...wrong, ...about, repair });
  }
  const groups = wrongGroups(view, tap, found);
  if (groups !== undefined) {
    findings.push({
      code: "tap.groups_differ",
      ...groups,
      ...about,
      keys: [...keys, ...groups.keys],
      repair,
    });
  }
  if (found.mtu !== 0 && found.mtu !== tap.mtu) {
    const sizes = { expected: `${tap.mtu} bytes`, found: `${found.mtu} bytes` };
    findings.push({ code: "tap.mtu_differs", ...sizes, ...about, repair });
  }
  const wrongLimit = wrongLimits(tap, found);
  if (wrongLimit !== undefined) {
    const limit = limitAgain(tap);
    findings.push({ code: "tap.limits_differ", ...wrongLimit, ...about, repair: limit });
  }
  const unknown = wrongEntry(tap, found);
  if (unknown !== undefined) {
    findings.push({ code: "tap.entry_differs", ...unknown, ...about, repair });
  }
  return findings;
}

/** Undefined also for a node whose agent enforces no groups, and while it is told their rules. */
function wrongGroups(
  { api, records }: NodeView["view"],
  { nodeName, network, groups: wanted }: Tap,
  { groups: found }: SurveyedTap,
) {
  if (wanted === undefined || found === undefined) return undefined;
  if (!api.groupPushes.isReached(nodeName, network)) return undefined;
  const refs =
    wanted === "off" ? [] : wanted.flatMap((id) => parseRefOf(securityGroups.kind, id) ?? []);
  const rules = refs.map((ref) =>
    rulesOfId(formatRef(ref), records.find(securityGroups, ref)?.value),
  );
  const keys = refs.map((ref) => securityGroups.key(ref));
  const expected =
    refs.length === 0
      ? "no security groups"
      : `the security groups ${refs.map(formatRef).join(", ")}`;
  const there = found.state === PartState.WHOLE ? found.groups.join(" ") : "";
  if (there !== refs.map((ref) => shortDigest(formatRef(ref))).join(" ")) {
    const what = found.state === PartState.ALTERED ? "changed" : "others";
    return { expected, found: found.state === PartState.ABSENT ? "none" : what, keys };
  }
  if (found.state === PartState.ABSENT || found.rules === digestOfGroups(rules)) return undefined;
  return { expected, found: "other rules", keys };
}

/** Undefined also for a node whose agent has no DHCP and DNS. */
function wrongEntry({ tapName, entry }: Tap, { entryState, entry: found }: SurveyedTap) {
  if (entry === undefined || entryState === PartState.UNSPECIFIED) return undefined;
  const isKnown = entry.ipv4Address !== "" || entry.ipv6Address !== "";
  const expected = isKnown ? guestText(entry) : "none";
  const there =
    entryState === PartState.ABSENT ? "none" : found === undefined ? "changed" : guestText(found);
  if (there === expected) return undefined;
  return { expected: `tap "${tapName}" known to DHCP and DNS as ${expected}`, found: there };
}

function guestText({ hardwareAddress, name, ipv4Address, ipv6Address }: TapGuest): string {
  const words = [name, hardwareAddress.toLowerCase(), ...[ipv4Address, ipv6Address]];
  return words
    .filter((word) => word !== "")
    .map(canonicalAddress)
    .join(" ");
}

/** Undefined also for a node whose agent makes no filters. */
function wrongFilter({ tapName, identity }: Tap, { filter, identity: found }: SurveyedTap) {
  if (identity === undefined || filter === PartState.UNSPECIFIED) return undefined;
  const expected = textOf(identity);
  const there =
    filter === PartState.ABSENT ? "none" : found === undefined ? "changed" : textOf(found);
  if (there === expected) return undefined;
  return { expected: `a filter of tap "${tapName}" for ${expected}`, found: there };
}

/** Undefined also for a node whose agent makes no limits. */
function wrongLimits(
  { tapName, limits = NO_LIMITS }: Tap,
  { limitsState, limits: found }: SurveyedTap,
) {
  if (limitsState === PartState.UNSPECIFIED) return undefined;
  const expected = limitsText(limits);
  const isAltered = limitsState === PartState.ALTERED;
  const there = isAltered ? "changed" : limitsText(found ? tapLimits(found) : NO_LIMITS);
  if (there === expected) return undefined;
  return { expected: `limits of tap "${tapName}": ${expected}`, found: there };
}

/** Equal for the same addresses, however they are written and in any order. */
function textOf({ hardwareAddress, addresses, allowedAddresses = [] }: TapIdentity): string {
  const all = [...addresses, ...allowedAddresses].map(canonicalAddress);
  return [hardwareAddress.toLowerCase(), ...new Set(all.sort())].join(", ");
}

function strangeTaps(node: NodeView): Finding[] {
  const { survey } = node;
  const owners = new Map(
    machinesOn(node).flatMap((machine) =>
      (machine.plan?.taps ?? []).map(({ tapName }) => [tapName, machine] as const),
    ),
  );
  const domains = new Map(survey.domains.map((found) => [found.listed?.domain?.name, found]));
  return survey.taps.flatMap((found) => {
    const owner = owners.get(found.listed?.name ?? "");
    if (owner === undefined) return isUndecided(node, found) ? [] : [withoutOwner(node, found)];
    const domain = domains.get(nameOnNode(owner.ref));
    const isUsed = owner.vm.state !== State.SHUTDOWN || (domain !== undefined && isActive(domain));
    return isUsed ? [] : [leftOver(node, found, owner)];
  });
}

/**
 * Its virtual machine is here, but its records are incomplete, which is a finding of its own. So its taps are
 * not known.
 */
function isUndecided(node: NodeView, { listed }: SurveyedTap): boolean {
  return machinesOn(node).some(
    ({ ref, plan }) => plan === undefined && formatRef(ref) === listed?.owner,
  );
}

function withoutOwner({ nodeName, view }: NodeView, { listed }: SurveyedTap): Finding {
  const { name = "", owner = "", transactionId = "", networkName = "" } = listed ?? {};
  const vm = parseRefOf("virtual_machine", owner);
  // Its maker died before it set the mark. The transaction that reserved the name may still work on it.
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
  { ref, keys }: PlannedMachine,
): Finding {
  const owner = formatRef(ref);
  const { name = "", networkName = "", transactionId = "" } = listed ?? {};
  return {
    code: "tap.left_over",
    resource: owner,
    nodeName,
    expected: "none: it is shut down",
    found: `tap "${name}"`,
    keys,
    madeBy: transactionId,
    repair: removeTap(nodeName, name, owner, networkName),
  };
}
