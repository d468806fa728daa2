import { existsSync, lstatSync } from "node:fs";
import { ownerOnNode } from "../../../util/ref.ts";
import { formatLinkMark, type LinkMark, parseLinkMark } from "../link-mark.ts";
import { gatewaysOf } from "../network-check.ts";
import type { NetworkSpec } from "../network-driver.ts";
import { networkNotOurs } from "../network-errors.ts";
import { MTU_OF_ETHERNET } from "../segment.ts";
import type { Context } from "./context.ts";
import { ensureExternal } from "./external.ts";
import type { Link } from "./links.ts";
import { wantedMetadata } from "./metadata/state.ts";
import type { Names } from "./names.ts";
import { namespaceAt } from "./namespace.ts";
import { ensureNodeRules, ensureNodeRulesAbsent, prepareInside, renewInside } from "./rules.ts";
import { removeServices } from "./services/services.ts";
import { addIpv6, lacksIpv6, makeUplink, removeOrphans, uplinkWorks } from "./uplink.ts";

/**
 * The group of LLDP. The kernel would otherwise learn addresses from its frames, and take packets in them for
 * the namespace's own, before any filter.
 */
export const FORWARD_MASK = 1 << 0xe;

/** Set on the bridge when everything else is in place. Without it every part is checked again. */
export const READY = "ready";

/** The devices that the kernel puts into every new namespace by itself, depending on its modules. */
const KERNEL_DEVICES = new Set(
  "lo tunl0 gre0 gretap0 erspan0 ip_vti0 sit0 ip6tnl0 ip6gre0 ip6_vti0".split(" "),
);

export type NetworkState =
  | { readonly kind: "nothing" }
  /** A name without a namespace: the maker died between the two. */
  | { readonly kind: "name" }
  /** A namespace of ours; `mark` is undefined while it is half-made. */
  | {
      readonly kind: "namespace";
      readonly links: readonly Link[];
      readonly bridge: Link | undefined;
      readonly mark: LinkMark | undefined;
    }
  /** A thing with this name that is not ours. */
  | { readonly kind: "foreign" };

export async function readNetwork(
  { ip, names }: Context,
  networkName: string,
  signal: AbortSignal,
): Promise<NetworkState> {
  const path = names.netnsPath(networkName);
  switch (namespaceAt(path)) {
    case "nothing":
      return { kind: "nothing" };
    case "other": {
      const stat = lstatSync(path);
      return stat.isFile() && stat.size === 0 ? { kind: "name" } : { kind: "foreign" };
    }
    case "namespace":
  }
  const links = await ip.links(names.netnsName(networkName), signal);
  const bridge = links.find(({ name }) => name === names.bridge(networkName));
  const mark = parseLinkMark(names.prefix, bridge?.alias);
  const namespace: NetworkState = { kind: "namespace", links, bridge, mark };
  if (mark?.owner === ownerOnNode("network", networkName)) return namespace;
  // Half-made: the namespace is empty, or has a bridge of our group, whose alias is set last.
  const halfMade =
    bridge === undefined
      ? links.every(({ name, group }) => KERNEL_DEVICES.has(name) || isOurGroup(names, group))
      : bridge.alias === undefined && bridge.group === names.group;
  return halfMade ? namespace : { kind: "foreign" };
}

function isOurGroup({ group, leavingGroup }: Names, found: number): boolean {
  return found === group || found === leavingGroup;
}

/** Makes the network, or its missing parts. The caller holds the network. */
export async function ensureNetwork(
  context: Context,
  network: NetworkSpec,
  before: NetworkState,
  transactionId: string,
  signal: AbortSignal,
): Promise<void> {
  const { ip, names, mutex } = context;
  if (before.kind === "foreign") throw networkNotOurs(network.name);
  const netns = names.netnsName(network.name);
  if (before.kind === "name") await ip.netns("delete", netns, signal);

  const { links, bridge, mark } =
    before.kind === "namespace" ? before : { links: [], bridge: undefined, mark: undefined };
  const isReady = mark?.state === READY;
  const { owner, transactionId: maker } = mark ?? {
    owner: ownerOnNode("network", network.name),
    transactionId,
  };
  const alias = formatLinkMark(names.prefix, { owner, transactionId: maker });

  const frame = frameLines(names, network, before.kind === "namespace", bridge !== undefined);
  const uplink: string[] = [];
  const isOlder = uplinkWorks(links) && lacksIpv6(links);
  if (uplinkWorks(links)) {
    ensureNodeRules(context);
    await ip.batch(undefined, frame, signal);
    if (isOlder) await addIpv6(context, network.name, links, signal);
  } else {
    await mutex.run("node", async () => {
      ensureNodeRules(context);
      uplink.push(...(await makeUplink(context, network.name, links, alias, frame, signal)));
    });
  }
  const path = names.netnsPath(network.name);
  if (!isReady || isOlder) prepareInside(names, path, network.isNatOff === true);
  // Of a version without metadata. Its rules come first: whoever finds the addresses need not look at them.
  else if (bridge?.metadataAddresses.length === 0) renewInside(names, path);
  const lines = [...bridgeLines(names, network, links, bridge), ...uplink];
  if (!isReady) {
    const ready = formatLinkMark(names.prefix, { owner, transactionId: maker, state: READY });
    lines.push(`link set dev ${names.bridge(network.name)} alias ${ready}`);
  }
  await ip.batch(netns, lines, signal);
  await ensureExternal(context, network.name, network.vlanId, links, signal);
}

/** The namespace and the bridge. They are made from outside, and so in one process with the uplink. */
function frameLines(
  names: Names,
  { name: networkName }: NetworkSpec,
  hasNamespace: boolean,
  hasBridge: boolean,
): string[] {
  const netns = names.netnsName(networkName);
  const lines = hasNamespace ? [] : [`netns add ${netns}`];
  if (!hasBridge) {
    const its = `group ${names.group} address ${names.bridgeAddress(networkName)} netns ${netns}`;
    // No spanning tree, since it makes a new port wait. No snooping, since nobody queries memberships.
    const options = `stp_state 0 forward_delay 0 mcast_snooping 0 group_fwd_mask ${FORWARD_MASK}${callOptions()}`;
    lines.push(`link add name ${names.bridge(networkName)} ${its} type bridge ${options}`);
  }
  return lines;
}

/** The commands for the missing parts of the gateways; none if nothing is missing. */
function bridgeLines(
  names: Names,
  network: NetworkSpec,
  links: readonly Link[],
  found: Link | undefined,
): string[] {
  const bridge = names.bridge(network.name);
  const wanted = gatewaysOf(network);
  const there = found?.addresses ?? [];
  const isUp = (name: string) => links.some((l) => l.name === name && l.isUp);

  const lines = isUp("lo") ? [] : ["link set dev lo up"];
  // A bridge that an older version made.
  if (found !== undefined && found.forwardMask !== FORWARD_MASK) {
    lines.push(`link set dev ${bridge} type bridge group_fwd_mask ${FORWARD_MASK}`);
  }
  // Not when it is made: only after a change does its MTU stay, whichever ports come and go.
  if (network.mtu !== undefined && (found?.mtu ?? MTU_OF_ETHERNET) !== network.mtu) {
    lines.push(`link set dev ${bridge} mtu ${network.mtu}`);
  }
  if (found !== undefined && canJudge() && !found.callsFilters) {
    lines.push(`link set dev ${bridge} type bridge${callOptions()}`);
  }
  for (const address of there) {
    if (!wanted.includes(address)) lines.push(`address delete ${address} dev ${bridge}`);
  }
  for (const address of wanted) {
    // No duplicate address detection: the first packets of the guests would not find the gateway.
    const flags = address.includes(":") ? " nodad" : "";
    if (!there.includes(address)) lines.push(`address add ${address} dev ${bridge}${flags}`);
  }
  lines.push(...metadataLines(bridge, wanted, found));
  if (!isUp(bridge)) lines.push(`link set dev ${bridge} up`);
  return lines;
}

/**
 * The commands for the addresses of metadata. The namespace itself never chooses one as its own: that of IPv4 is of
 * the link, and that of IPv6 is deprecated.
 */
export function metadataLines(
  bridge: string,
  gateways: readonly string[],
  found: Link | undefined,
): string[] {
  const wanted = wantedMetadata(gateways);
  const there = found?.metadataAddresses ?? [];
  const isNew = (address: string) => !there.includes(address);
  const isLeft = (address: string) => !wanted.includes(address);
  const prefixed = (address: string) => `${address}/${address.includes(":") ? 128 : 32}`;
  const added = wanted.filter(isNew).map((address) => {
    const of = `${prefixed(address)} dev ${bridge}`;
    const flags = address.includes(":") ? "nodad preferred_lft 0" : "scope link";
    return `address add ${of} ${flags}`;
  });
  const deleted = there
    .filter(isLeft)
    .map((one) => `address delete ${prefixed(one)} dev ${bridge}`);
  return [...deleted, ...added];
}

/** Whether the kernel leads what a bridge forwards through the rules of security groups (br_netfilter). */
export function canJudge(): boolean {
  return existsSync("/proc/sys/net/bridge/bridge-nf-call-iptables");
}

function callOptions(): string {
  return canJudge() ? " nf_call_iptables 1 nf_call_ip6tables 1" : "";
}

/** Removes the network and everything in it. The caller holds the network. */
export async function removeNetwork(
  context: Context,
  networkName: string,
  before: NetworkState,
  signal: AbortSignal,
): Promise<void> {
  const { ip, names, mutex, guard, metadata } = context;
  if (before.kind === "foreign") return;
  // A process or a socket in the namespace would keep it.
  metadata.close(networkName);
  await removeServices(context, networkName);
  const netns = names.netnsName(networkName);
  if (before.kind === "namespace" && before.links.some(({ group }) => group === names.group)) {
    // All at once, with the outer end of the uplink. The kernel would remove them with the namespace, but
    // later.
    await ip.batch(netns, [`link delete group ${names.group}`], signal);
  }
  if (before.kind !== "nothing") await ip.netns("delete", netns, signal);
  if (before.kind === "namespace") guard.close(before.links);

  await mutex.run("node", async () => {
    const links = await ip.links(undefined, signal);
    const outside = await removeOrphans(context, networkName, links, signal);
    const isUplink = ({ kind, group }: Link) => kind === "veth" && group === names.group;
    if (!outside.some(isUplink)) ensureNodeRulesAbsent(names);
  });
}
