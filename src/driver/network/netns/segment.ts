import { ownerOnNode } from "../../../util/ref.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import { segmentRefused, underlayMissing, underlayTooSmall } from "../network-errors.ts";
import { NO_SEGMENT, type PartState, type SegmentSurvey } from "../network-survey.ts";
import { type Peer, type Segment, type Underlay, underlayMtuFor, VXLAN_PORT } from "../segment.ts";
import type { Context } from "./context.ts";
import { ipv6Off } from "./ip.ts";
import type { Link } from "./links.ts";
import { type Names, SEGMENT_DEVICE } from "./names.ts";
import {
  addFlood,
  addForwarding,
  addNeighbour,
  type Forwarding,
  readForwarding,
  readNeighbours,
  removeBridged,
  removeFlood,
  removeNeighbour,
  removeRemote,
} from "./neighbours.ts";
import { type NetworkState, READY, readNetwork } from "./network.ts";
import { type Message, requestAll } from "./rtnetlink.ts";
import { applySharing, readSharing, removeSharing, type Sharing } from "./sharing.ts";

type Inside = Extract<NetworkState, { kind: "namespace" }>;

/**
 * Sends and answers only what it is told to: it floods nothing and learns nothing, and answers ARP and ND for the
 * neighbours that are written down (ip-link(8), bridge(8)).
 */
const QUIET =
  "type bridge_slave neigh_suppress on learning off flood off mcast_flood off bcast_flood off";
/** Of an entry that is gone already, or whose device is. */
const GONE = ["ENOENT", "ENODEV"];

/** The caller holds the network. */
export async function ensureSegment(
  context: Context,
  segment: Segment,
  signal: AbortSignal,
): Promise<void> {
  const { networkName } = segment;
  const state = await readNetwork(context, networkName, signal);
  if (state.kind !== "namespace" || state.mark?.state !== READY) return;
  const path = context.names.netnsPath(networkName);
  if (segment.peers.length === 0) {
    await requestAll(path, await neighbourChanges(path, state, segment), GONE);
    await removeDevice(context, networkName, state, signal);
    context.guard.close(state.links);
    return;
  }
  const index = await ensureDevice(context, segment, state, signal);
  const forwarding = await readForwarding(path, index);
  const floods = floodChanges(index, segment, forwarding);
  const changes = [
    ...forwardingChanges(index, segment, forwarding),
    ...floods.added,
    ...(await neighbourChanges(path, state, segment)),
  ];
  await requestAll(path, changes, GONE);
  const { sharedAddresses: shared = [] } = segment;
  // Nodes that get copies are there before the tables that make copies, and until after that. So most networks,
  // which have neither, need not ask for tables.
  if (shared.length + forwarding.floods.size > 0) applySharing(context.names, networkName, shared);
  if (floods.gone.length > 0) await requestAll(path, floods.gone, GONE);
}

/** The nodes that get what is said about shared addresses. */
function floodChanges(
  index: number,
  { peers, sharedAddresses = [] }: Segment,
  { floods }: Forwarding,
): { readonly added: readonly Message[]; readonly gone: readonly Message[] } {
  const nodes = peers.map(({ underlayAddress }) => underlayAddress);
  const wanted = new Set(sharedAddresses.length === 0 ? [] : nodes);
  return {
    added: [...wanted.difference(floods)].map((node) => addFlood(index, node)),
    gone: [...floods.difference(wanted)].map((node) => removeFlood(index, node)),
  };
}

export async function findUnderlay(
  { ip }: Context,
  address: string,
  signal: AbortSignal,
): Promise<Underlay | undefined> {
  const links = await ip.links(undefined, signal);
  const link = links.find(({ addresses }) =>
    addresses.some((one) => one.split("/")[0] === address),
  );
  return link === undefined ? undefined : { device: link.name, mtu: link.mtu };
}

/** @returns its index. */
async function ensureDevice(
  context: Context,
  segment: Segment,
  inside: Inside,
  signal: AbortSignal,
): Promise<number> {
  const { ip, names, guard } = context;
  const { networkName, underlayAddress } = segment;
  const underlay = await findUnderlay(context, underlayAddress, signal);
  if (underlay === undefined) throw underlayMissing(networkName, underlayAddress);
  const needed = underlayMtuFor(segment);
  if (underlay.mtu < needed) throw underlayTooSmall(segment, underlay, needed);

  const netns = names.netnsName(networkName);
  const there = deviceIn(inside.links);
  const isSame = there !== undefined && leadsThere(there, segment);
  if (there !== undefined && !isSame) {
    await removeDevice(context, networkName, inside, signal);
    if (there.vxlan?.vni !== segment.vni) context.guard.close(inside.links);
  }
  if (!isSame) {
    try {
      await ip.batch(undefined, [addLine(names, segment)], signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw segmentRefused(segment, cause);
    }
  }
  // Before the device is up, and hears anybody.
  guard.set(
    segment.vni,
    segment.peers.map((peer) => peer.underlayAddress),
  );
  const isWhole = isSame && deviceState(names, networkName, inside.links) === "whole";
  if (!isWhole || there.mtu !== segment.mtu) {
    await ip.batch(netns, setLines(names, segment), signal).catch((cause) => {
      signal.throwIfAborted();
      throw segmentRefused(segment, cause);
    });
  }
  const made = isSame ? there : deviceIn(await ip.links(netns, signal));
  if (made === undefined) throw new Error(`network ${networkName} has lost its VXLAN device`);
  return made.index;
}

/** Made from the node's own namespace, where it sends and receives, and put into that of the network. */
function addLine(names: Names, { networkName, vni, mtu, underlayAddress }: Segment): string {
  const its = `group ${names.group} mtu ${mtu} netns ${names.netnsName(networkName)}`;
  const way = `id ${vni} local ${underlayAddress} dstport ${VXLAN_PORT} nolearning`;
  return `link add name ${SEGMENT_DEVICE} ${its} type vxlan ${way}`;
}

/** A port is quiet before it is up. */
function setLines(names: Names, { networkName, mtu }: Segment): string[] {
  const alias = formatLinkMark(names.prefix, {
    owner: ownerOnNode("network", networkName),
    transactionId: "",
  });
  const master = `master ${names.bridge(networkName)}`;
  return [
    `link set dev ${SEGMENT_DEVICE} group ${names.group} alias ${alias} mtu ${mtu}${ipv6Off()} ${master}`,
    `link set dev ${SEGMENT_DEVICE} ${QUIET}`,
    `link set dev ${SEGMENT_DEVICE} up`,
  ];
}

async function removeDevice(
  { ip, names }: Context,
  networkName: string,
  { links }: Inside,
  signal: AbortSignal,
): Promise<void> {
  // They would send to a device that is gone.
  removeSharing(names, networkName);
  if (deviceIn(links) === undefined) return;
  const netns = names.netnsName(networkName);
  await ip.change(netns, [{ kind: "delete", name: SEGMENT_DEVICE }], signal);
}

function deviceIn(links: readonly Link[]): Link | undefined {
  return links.find(({ name }) => name === SEGMENT_DEVICE);
}

/** These cannot be changed. */
function leadsThere({ vxlan }: Link, { vni, underlayAddress }: Segment): boolean {
  if (vxlan === undefined || vxlan.learns || vxlan.port !== VXLAN_PORT) return false;
  return vxlan.vni === vni && vxlan.local === underlayAddress;
}

function deviceState(names: Names, networkName: string, links: readonly Link[]): PartState {
  const device = deviceIn(links);
  if (device === undefined) return "absent";
  const { vxlan, group, alias, isUp, master, isQuietPort } = device;
  const isMarked =
    group === names.group &&
    parseLinkMark(names.prefix, alias)?.owner === ownerOnNode("network", networkName);
  const isPort = isUp && isQuietPort && master === names.bridge(networkName);
  const isOurs = vxlan !== undefined && !vxlan.learns && vxlan.port === VXLAN_PORT;
  return isMarked && isPort && isOurs ? "whole" : "altered";
}

/** First what must go: an address that is a guest's of this node now is behind its tap. */
function forwardingChanges(
  index: number,
  { peers }: Segment,
  { remotes, bridged }: Forwarding,
): Message[] {
  const wanted = new Map(peers.map((peer) => [peer.hardwareAddress, peer.underlayAddress]));
  const isGone = (address: string) => !wanted.has(address);
  return [
    ...[...bridged].filter(isGone).map((address) => removeBridged(index, address)),
    ...[...remotes.keys()].filter(isGone).map((address) => removeRemote(index, address)),
    ...[...wanted]
      .filter(([address, remote]) => remotes.get(address) !== remote || !bridged.has(address))
      .map(([address, remote]) => addForwarding(index, address, remote)),
  ];
}

async function neighbourChanges(
  path: string,
  { bridge }: Inside,
  { peers }: Segment,
): Promise<Message[]> {
  if (bridge === undefined) return [];
  const { index } = bridge;
  const there = await readNeighbours(path, index);
  const wanted = new Map(
    peers.flatMap(({ addresses, hardwareAddress }) =>
      addresses.map((address) => [address, hardwareAddress] as const),
    ),
  );
  return [
    ...[...there.keys()]
      .filter((address) => !wanted.has(address))
      .map((address) => removeNeighbour(index, address)),
    ...[...wanted]
      .filter(([address, hardwareAddress]) => there.get(address) !== hardwareAddress)
      .map(([address, hardwareAddress]) => addNeighbour(index, address, hardwareAddress)),
  ];
}

export async function surveySegment(
  names: Names,
  networkName: string,
  { links, bridge }: Inside,
): Promise<SegmentSurvey> {
  const path = names.netnsPath(networkName);
  const device = deviceIn(links);
  const neighbours = bridge === undefined ? new Map() : await readNeighbours(path, bridge.index);
  const sharing = readSharing(names, networkName);
  if (device === undefined) {
    const strays = [...neighbourStrays(neighbours, new Map()), ...sharingStrays(sharing)];
    return { ...NO_SEGMENT, strays };
  }
  const { remotes, bridged, floods } = await readForwarding(path, device.index);
  return {
    device: deviceState(names, networkName, links),
    vni: device.vxlan?.vni ?? 0,
    mtu: device.mtu,
    underlayAddress: device.vxlan?.local ?? "",
    peers: peersOf(remotes, neighbours),
    sharedAddresses: sharing.addresses,
    strays: [
      ...[...bridged].filter((one) => !remotes.has(one)).map((one) => `${one} without its node`),
      ...[...remotes.keys()]
        .filter((one) => !bridged.has(one))
        .map((one) => `${one} that its bridge does not know`),
      ...neighbourStrays(neighbours, remotes),
      ...(sharing.state === "altered" ? ["its tables of shared addresses are changed"] : []),
      ...floodStrays(sharing, floods, new Set(remotes.values())),
    ],
  };
}

function sharingStrays({ state }: Sharing): string[] {
  return state === "absent" ? [] : ["tables of shared addresses without a device"];
}

function floodStrays(
  { addresses }: Sharing,
  floods: ReadonlySet<string>,
  nodes: ReadonlySet<string>,
): string[] {
  const wanted = addresses.length === 0 ? new Set<string>() : nodes;
  return [
    ...[...floods.difference(wanted)].map((one) => `${one} hears of shared addresses`),
    ...[...wanted.difference(floods)].map((one) => `${one} hears of no shared addresses`),
  ];
}

function peersOf(
  remotes: ReadonlyMap<string, string>,
  neighbours: ReadonlyMap<string, string>,
): Peer[] {
  const addressesOf = Map.groupBy(neighbours, ([, hardwareAddress]) => hardwareAddress);
  const peers = [...remotes].map(([hardwareAddress, underlayAddress]) => {
    const own = addressesOf.get(hardwareAddress) ?? [];
    const addresses = own.map(([address]) => address).sort(byText);
    return { hardwareAddress, addresses, underlayAddress };
  });
  return peers.sort((a, b) => byText(a.hardwareAddress, b.hardwareAddress));
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function neighbourStrays(
  neighbours: ReadonlyMap<string, string>,
  remotes: ReadonlyMap<string, string>,
): string[] {
  return [...neighbours].flatMap(([address, hardwareAddress]) =>
    remotes.has(hardwareAddress) ? [] : [`${address} of ${hardwareAddress} without its node`],
  );
}
