import { ownerOnNode } from "../../../util/ref.ts";
import type { RunCommand } from "../../command/run-command.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import { externalRefused } from "../network-errors.ts";
import type { ExternalSurvey, PartState } from "../network-survey.ts";
import type { Context } from "./context.ts";
import { ipv6Off } from "./ip.ts";
import type { Link } from "./links.ts";
import { EXTERNAL_DEVICE, type Names } from "./names.ts";
import { deviceIndex, inNamespace } from "./namespace.ts";
import { applyTable, listingOf, type Table, tableOf, tableState } from "./tables.ts";

/** A VLAN without a number: the packets of the device as they are. */
const UNTAGGED = 0;
const VERSION = "1";

/**
 * The gateway of a network is on each node with the same addresses. Outside of the node it would be there many times,
 * so nobody hears it there, and it hears nobody.
 */
const CHAINS = `
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "${EXTERNAL_DEVICE}" drop
  }
  chain output {
    type filter hook output priority filter; policy accept;
    oifname "${EXTERNAL_DEVICE}" drop
  }`;

const PROBE = "link add name a type veth peer name b\nlink add link a name a.1 type vlan id 1\n";

/** Whether the kernel makes VLAN devices (802.1q). Asked in a namespace that nobody sees, of which nothing is left. */
export async function hasVlans(run: RunCommand): Promise<boolean> {
  const asked = run("unshare", ["--net", "ip", "-batch", "-"], { input: PROBE, timeoutMs: 10_000 });
  return await asked.then(
    () => true,
    () => false,
  );
}

/** Why networks cannot join VLANs of the device; undefined if they can. */
export async function externalObstacle(
  { vlanDevice, hasVlans: ask }: Pick<Context, "vlanDevice" | "hasVlans">,
  vlanId?: number,
): Promise<string | undefined> {
  if (vlanDevice === undefined) return undefined;
  if (deviceIndex(undefined, vlanDevice) === undefined) {
    return `the node has no device "${vlanDevice}"`;
  }
  if (vlanId === UNTAGGED || (await ask())) return undefined;
  return `the kernel of the node has no VLAN devices (802.1q), so only vlan_id 0 can join "${vlanDevice}": load its module 8021q`;
}

/** Joins the network to its VLAN, if the node has a device for that. The caller holds the network. */
export async function ensureExternal(
  context: Context,
  networkName: string,
  vlanId: number | undefined,
  links: readonly Link[],
  signal: AbortSignal,
): Promise<void> {
  const { ip, names, vlanDevice } = context;
  if (vlanDevice === undefined || vlanId === undefined) return;
  const found = surveyExternal(context, networkName, links);
  if (found?.state === "whole" && found.vlanId === vlanId) return;
  const reason = await externalObstacle(context, vlanId);
  if (reason !== undefined) throw externalRefused(networkName, vlanId, reason);

  const netns = names.netnsName(networkName);
  await removeExternal(context, networkName, links, signal);
  const rules = shieldTable(names);
  inNamespace(names.netnsPath(networkName), () => applyTable(names, rules, { isForced: true }));
  try {
    await ip.batch(undefined, [addLine(names, networkName, vlanDevice, vlanId)], signal);
    await ip.batch(netns, [setLine(names, networkName)], signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw externalRefused(networkName, vlanId, cause instanceof Error ? cause.message : "");
  }
}

/** The caller holds the network. */
export async function removeExternal(
  { ip, names }: Context,
  networkName: string,
  links: readonly Link[],
  signal: AbortSignal,
): Promise<void> {
  if (deviceIn(links) === undefined) return;
  const netns = names.netnsName(networkName);
  await ip.change(netns, [{ kind: "delete", name: EXTERNAL_DEVICE }], signal);
}

/** Undefined on a node that has no device for VLANs. */
export function surveyExternal(
  { names, vlanDevice }: Context,
  networkName: string,
  links: readonly Link[],
): ExternalSurvey | undefined {
  if (vlanDevice === undefined) return undefined;
  const device = deviceIn(links);
  if (device === undefined) return { device: vlanDevice, state: "absent" };
  return {
    device: vlanDevice,
    state: stateOf(names, networkName, device, vlanDevice),
    vlanId: device.vlanId ?? UNTAGGED,
  };
}

function stateOf(names: Names, networkName: string, link: Link, vlanDevice: string): PartState {
  const isMarked =
    link.group === names.group &&
    parseLinkMark(names.prefix, link.alias)?.owner === ownerOnNode("network", networkName);
  const isPort = link.isUp && link.master === names.bridge(networkName);
  const isThere = link.peerIndex === deviceIndex(undefined, vlanDevice);
  const isOurs = link.kind === "vlan" || link.kind === "macvlan";
  return isMarked && isPort && isThere && isOurs && isShielded(names, networkName)
    ? "whole"
    : "altered";
}

function isShielded(names: Names, networkName: string): boolean {
  const rules = shieldTable(names);
  // Before entering the namespace: the rules to compare with are made in a namespace of their own.
  listingOf(rules);
  return inNamespace(names.netnsPath(networkName), () => tableState(names, rules)) === "whole";
}

function shieldTable(names: Names): Table {
  return tableOf(names, "bridge", "n0stack-external", "external", VERSION, CHAINS);
}

/** The device of the node stays where it is. A network without VLAN gets all of it, which only one network can. */
function addLine(names: Names, networkName: string, device: string, vlanId: number): string {
  const its = `group ${names.group} netns ${names.netnsName(networkName)}`;
  const type = vlanId === UNTAGGED ? "macvlan mode passthru" : `vlan id ${vlanId}`;
  return `link add link ${device} name ${EXTERNAL_DEVICE} ${its} type ${type}`;
}

function setLine(names: Names, networkName: string): string {
  const alias = formatLinkMark(names.prefix, {
    owner: ownerOnNode("network", networkName),
    transactionId: "",
  });
  const port = `master ${names.bridge(networkName)}`;
  return `link set dev ${EXTERNAL_DEVICE} alias ${alias}${ipv6Off()} ${port} up`;
}

function deviceIn(links: readonly Link[]): Link | undefined {
  return links.find(({ name }) => name === EXTERNAL_DEVICE);
}
