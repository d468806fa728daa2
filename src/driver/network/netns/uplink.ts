import { N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";
import { parseLinkMark } from "../link-mark.ts";
import type { Context } from "./context.ts";
import { ipv6Off } from "./ip.ts";
import { hasIpv6 } from "./ipv6-forwarding.ts";
import type { Link } from "./links.ts";
import { type Names, UPLINK_INSIDE } from "./names.ts";
import { overlaps, pickTransit, type Transit, transit6Of } from "./transit.ts";

/** Each attempt has another name and subnet, so this is only a bound. */
const ATTEMPTS_MAX = 16;

/** Whether the inner end of the uplink exists, has its addresses, and has a living outer end. */
export function uplinkWorks(inside: readonly Link[]): boolean {
  const uplink = inside.find(({ name }) => name === UPLINK_INSIDE);
  if (uplink === undefined) return false;
  return uplink.isUp && uplink.hasCarrier && uplink.addresses.length > 0;
}

/**
 * Makes the uplink again, after the lines of `frame`. Returns the lines that remain to be run inside. The caller
 * holds the node: two calls in this process would otherwise pick the same subnet. Another process may still
 * pick it, so the subnet is checked again after it was taken.
 */
export async function makeUplink(
  context: Context,
  networkName: string,
  inside: readonly Link[],
  alias: string,
  frame: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { ip, names } = context;
  const netns = names.netnsName(networkName);
  if (inside.some(({ name }) => name === UPLINK_INSIDE)) {
    await ip.batch(netns, [`link delete dev ${UPLINK_INSIDE}`], signal);
  }
  const [routes, links] = await Promise.all([ip.routes(signal), ip.links(undefined, signal)]);
  let outside = await removeOrphans(context, networkName, links, signal);
  let before = frame;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const device = names.uplinkOutside(networkName, attempt);
    if (outside.some(({ name }) => name === device)) continue;
    const taken = [...routes, ...outside.flatMap(({ addresses }) => addresses.filter(isIpv4))];
    const transit = pickTransit(context.transitPool, taken, `${netns} ${attempt}`);
    if (transit === undefined) throw poolIsFull(networkName, context.transitPool);

    const lines = outsideLines(names, networkName, device, transit, alias);
    await ip.batch(undefined, [...before, ...lines], signal);
    before = [];
    outside = await ip.links(undefined, signal);
    if (!outside.some((link) => link.name !== device && isRival(link, transit))) {
      return insideLines(transit, alias);
    }
    await ip.batch(undefined, [`link delete dev ${device}`], signal);
  }
  throw new N0Error("aborted", `no free uplink was found for network "${networkName}": try again`);
}

function outsideLines(
  names: Names,
  networkName: string,
  device: string,
  transit: Transit,
  alias: string,
): string[] {
  const peer = `name ${UPLINK_INSIDE} netns ${names.netnsName(networkName)} group ${names.group}`;
  return [
    `link add name ${device} group ${names.group} type veth peer ${peer}`,
    `link set dev ${device} alias ${alias}${ipv6Off()} up`,
    `address add ${transit.outside} dev ${device}`,
    ...(hasIpv6() ? [`address add ${transit6Of(transit.inside).outside} dev ${device} nodad`] : []),
  ];
}

function insideLines(transit: Transit, alias: string): string[] {
  return [
    `link set dev ${UPLINK_INSIDE} alias ${alias}${ipv6Off()} up`,
    `address add ${transit.inside} dev ${UPLINK_INSIDE}`,
    `route replace default via ${transit.via} dev ${UPLINK_INSIDE}`,
    ...insideLines6(transit.inside),
  ];
}

/** @param inside The IPv4 address of the inner end. */
function insideLines6(inside: string): string[] {
  if (!hasIpv6()) return [];
  const { inside: address, via } = transit6Of(inside);
  return [
    `address replace ${address} dev ${UPLINK_INSIDE} nodad`,
    `route replace default via ${via} dev ${UPLINK_INSIDE}`,
  ];
}

/** Whether a working uplink has no IPv6 addresses, because a version before made it. */
export function lacksIpv6(inside: readonly Link[]): boolean {
  const addresses = inside.find(({ name }) => name === UPLINK_INSIDE)?.addresses ?? [];
  return hasIpv6() && addresses.every(isIpv4);
}

/** Gives a working uplink its IPv6 addresses. The caller holds the network. */
export async function addIpv6(
  { ip, names }: Context,
  networkName: string,
  inside: readonly Link[],
  signal: AbortSignal,
): Promise<void> {
  const end = inside.find(({ name }) => name === UPLINK_INSIDE)!;
  const ipv4 = end.addresses.find(isIpv4)!;
  const outer = (await ip.links(undefined, signal)).find(({ index }) => index === end.peerIndex);
  if (outer === undefined) return;
  const { outside } = transit6Of(ipv4);
  await ip.batch(undefined, [`address replace ${outside} dev ${outer.name} nodad`], signal);
  await ip.batch(names.netnsName(networkName), insideLines6(ipv4), signal);
}

/**
 * Removes uplinks of the network whose inner end is lost: somebody removed the name of the namespace while a
 * connection kept it alive. Returns the uplinks of `outside` that remain.
 */
export async function removeOrphans(
  { ip, names }: Context,
  networkName: string,
  outside: readonly Link[],
  signal: AbortSignal,
): Promise<readonly Link[]> {
  const isOrphan = ({ kind, alias }: Link) =>
    kind === "veth" &&
    parseLinkMark(names.prefix, alias)?.owner === ownerOnNode("network", networkName);
  const orphans = outside.filter(isOrphan);
  await ip.batch(
    undefined,
    orphans.map(({ name }) => `link delete dev ${name}`),
    signal,
  );
  return outside.filter((link) => !isOrphan(link));
}

function isIpv4(cidr: string): boolean {
  return !cidr.includes(":");
}

/** A wider network that contains our subnet does not compete: it existed when ours was picked. */
function isRival({ addresses }: Link, transit: Transit): boolean {
  return addresses.some((a) => isIpv4(a) && a.endsWith("/30") && overlaps(a, transit.outside));
}

function poolIsFull(networkName: string, pool: string): N0Error {
  return new N0Error(
    "resource_exhausted",
    `the node has no subnet free in ${pool} for the uplink of network "${networkName}"`,
    { resource: ownerOnNode("network", networkName) },
  );
}
