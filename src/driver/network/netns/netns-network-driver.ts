import { type Cidr, parseBlock } from "../../../util/cidr.ts";
import { defined } from "../../../util/defined.ts";
import { invalid } from "../../../util/errors.ts";
import { newKeyedMutex } from "../../../util/keyed-mutex.ts";
import { NAME_ON_NODE } from "../../../util/ref.ts";
import { type RunCommand, runCommand } from "../../command/run-command.ts";
import { checkNetwork, checkNetworkName, checkTapName } from "../network-check.ts";
import type { NetworkDriver, NetworkSpec } from "../network-driver.ts";
import { notOurs, tapElsewhere, tapMissing } from "../network-errors.ts";
import type { GuestEntry } from "../network-services.ts";
import type { PortIdentity } from "../port-identity.ts";
import type { PortLimits } from "../port-limits.ts";
import {
  type Attached,
  checkGroupsOfNetwork,
  checkPort,
  type PortSpec,
} from "../security-groups.ts";
import { checkSegment } from "../segment-check.ts";
import { type ChangeFilters, changeFilters as changeWithNft } from "./change-filters.ts";
import { connectIn } from "./connect.ts";
import { type Context, leavesNode } from "./context.ts";
import { newDetach } from "./detach.ts";
import { externalObstacle, hasVlans } from "./external.ts";
import { ensureFilter } from "./filters.ts";
import { applyGroups, ensureGroups, takeGroups } from "./groups.ts";
import { listNetworks, listTaps } from "./inventory.ts";
import { newIp } from "./ip.ts";
import { ensureLimits } from "./limits.ts";
import { type ChangeLink, changeLink } from "./link-changes.ts";
import { callerAt } from "./metadata/caller.ts";
import { keepMetadata } from "./metadata/keep.ts";
import { MetadataServers } from "./metadata/servers.ts";
import { namesFor } from "./names.ts";
import { deviceIndex } from "./namespace.ts";
import { canJudge, ensureNetwork, READY, readNetwork, removeNetwork } from "./network.ts";
import { readOwnNetworks } from "./own-networks.ts";
import { keepNodeRules, makeWhole, settleNodeRules, sweep, takeTapOut } from "./repair.ts";
import { prepareInside } from "./rules.ts";
import { ensureSegment, findUnderlay } from "./segment.ts";
import { SegmentGuard } from "./segment-guard.ts";
import { foldersIn } from "./services/service-files.ts";
import {
  ensureEntry,
  joinServices,
  keepServices,
  nameGuestsElsewhere,
  refreshServices,
} from "./services/services.ts";
import { surveyNode } from "./survey.ts";
import { isOurTap, makeTap, markOfTap, whereIs } from "./tap.ts";
import { closedFor, isClosedNameserver } from "./wall.ts";

export interface NetnsNetworkDriverOptions {
  /** Tells the things of this instance from another's on the same node. Defaults to `n0-`. */
  readonly prefix?: string;
  /** The IPv4 range for the links between the node and its networks. Defaults to `100.127.0.0/16`. */
  readonly transitPool?: string;
  /** Addresses that guests may ask at port 53, also on the node and in its networks. Defaults to none. */
  readonly nameservers?: readonly string[];
  /** CIDRs in the node's networks that guests may reach. Defaults to none. */
  readonly guestDestinations?: readonly string[];
  /** Whether the IPv6 packets of guests leave the node, if it can forward them. Defaults to true. */
  readonly forwardsIpv6?: boolean;
  /** The device of the node whose VLANs networks join. Defaults to none: they join no VLANs. */
  readonly vlanDevice?: string | undefined;
  /** Has the files of DHCP and DNS, a folder for each network. Defaults to one below /run. */
  readonly servicesFolder?: string;
  readonly run?: RunCommand;
  readonly change?: ChangeLink;
  readonly changeFilters?: ChangeFilters;
}

/**
 * Networks on this node, made with iproute2 and nft. Needs root, and the node's own network namespace. Sets
 * `net.ipv4.ip_forward` there and never resets it, since others may have come to rely on it. The same holds for
 * IPv6, if the node keeps its own routes (ADR 64).
 *
 * Guests reach the internet, and neither the node nor the networks that it is in (ADR 37).
 */
export function newNetnsNetworkDriver({
  prefix = "n0-",
  transitPool = "100.127.0.0/16",
  nameservers = [],
  guestDestinations = [],
  forwardsIpv6 = true,
  vlanDevice,
  servicesFolder = `/run/n0stack/${prefix}services`,
  run = runCommand,
  change = changeLink,
  changeFilters = changeWithNft,
}: NetnsNetworkDriverOptions = {}): NetworkDriver {
  const names = namesFor(prefix);
  const openings = {
    nameservers: nameservers.map(block),
    destinations: guestDestinations.map(block),
  };
  const ip = newIp(run, change);
  const mutex = newKeyedMutex();
  const ipv6 = { isWanted: forwardsIpv6, obstacle: undefined };
  const guard = new SegmentGuard(names);
  const metadata = new MetadataServers(names, (network, address) =>
    callerAt(names, network, address),
  );
  const shared = { ip, run, changeFilters, names, mutex, ipv6, guard, transitPool, openings };
  const vlans = { vlanDevice, hasVlans: () => hasVlans(run) };
  const context: Context = { ...shared, ...vlans, servicesFolder, nameservers, metadata };
  const detach = newDetach(context);

  const holdingTap = <T>(tapName: string, signal: AbortSignal, work: () => Promise<T>) =>
    context.mutex.run(`tap/${tapName}`, async () => {
      signal.throwIfAborted();
      return await work();
    });
  const holdingNetwork = <T>(networkName: string, signal: AbortSignal, work: () => Promise<T>) =>
    context.mutex.run(`network/${networkName}`, async () => {
      signal.throwIfAborted();
      return await work();
    });

  return {
    async ensureTap(tapName, mark, signal) {
      checkTapName(tapName);
      await holdingTap(tapName, signal, () => makeTap(context, tapName, mark, signal));
    },
    async ensureAttached(tapName, network, signal, spec) {
      const port = portOf(tapName, network, spec);
      return await holdingTap(tapName, signal, () =>
        holdingNetwork(network.name, signal, () => attach(context, port, network, signal)),
      );
    },
    async ensureTapOut(tapName, mark, signal) {
      checkTapName(tapName);
      const { owner } = mark;
      await holdingTap(tapName, signal, async () => {
        await takeTapOut(context, tapName, undefined, { owner }, signal);
        const places = await whereIs(context, tapName);
        if (!places.includes(undefined)) await makeTap(context, tapName, mark, signal);
      });
    },
    async ensureGateways(network, signal) {
      checkNetwork(network);
      await holdingNetwork(network.name, signal, async () => {
        const state = await readNetwork(context, network.name, signal);
        if (state.kind !== "namespace" || state.mark?.state !== READY) return;
        await ensureNetwork(context, network, state, state.mark.transactionId, signal);
        prepareInside(names, names.netnsPath(network.name), network.isNatOff === true);
        await refreshServices(context, network);
      });
    },
    async ensureSegment(asked, signal) {
      const segment = checkSegment(asked);
      await holdingNetwork(segment.networkName, signal, async () => {
        await ensureSegment(context, segment, signal);
        nameGuestsElsewhere(context, segment);
      });
    },
    findUnderlay: async (address, signal) => findUnderlay(context, address, signal),
    async ensureTapAbsent(tapName, networkName, maker, signal) {
      checkTapName(tapName);
      checkNetworkName(networkName);
      await holdingTap(tapName, signal, () => detach(networkName, { tapName, maker }, signal));
    },
    async ensureNetworkAbsent(networkName, signal) {
      checkNetworkName(networkName);
      await holdingNetwork(networkName, signal, async () =>
        removeNetwork(
          context,
          networkName,
          await readNetwork(context, networkName, signal),
          signal,
        ),
      );
    },
    survey: async (signal) => surveyNode(context, signal),
    async applyGroups(networkName, wanted, signal) {
      checkNetworkName(networkName);
      const checked = checkGroupsOfNetwork(wanted);
      await holdingNetwork(networkName, signal, async () => {
        const state = await readNetwork(context, networkName, signal);
        if (state.kind !== "namespace" || state.mark?.state !== READY) return;
        applyGroups(context, networkName, checked);
      });
    },
    async ensureNetworkWhole(network, signal, groups) {
      checkNetwork(network);
      const checked = groups === undefined ? undefined : checkGroupsOfNetwork(groups);
      await holdingNetwork(network.name, signal, () =>
        makeWhole(context, network, signal, checked),
      );
    },
    async ensureLimits(tapName, networkName, limits, signal) {
      checkTapName(tapName);
      checkNetworkName(networkName);
      await holdingTap(tapName, signal, async () => {
        if (!(await whereIs(context, tapName)).includes(networkName)) return;
        ensureLimits(names.netnsPath(networkName), tapName, limits);
      });
    },
    async moveTap(tapName, network, maker, signal, spec) {
      const port = portOf(tapName, network, spec);
      return await holdingTap(tapName, signal, async () => {
        await takeTapOut(context, tapName, network.name, maker, signal);
        return await holdingNetwork(network.name, signal, () =>
          attach(context, port, network, signal),
        );
      });
    },
    async sweepNetwork(networkName, signal) {
      checkNetworkName(networkName);
      await holdingNetwork(networkName, signal, () => sweep(context, networkName, signal));
    },
    ensureNodeRules: (signal) => settleNodeRules(context, signal),
    keepNodeRules: (signal) => keepNodeRules(context, signal),
    ipv6Obstacle: () => ipv6.obstacle,
    externalObstacle: async () => externalObstacle(context),
    judgesGroups: canJudge,
    async keepServices(signal) {
      const kept: string[] = [];
      for (const name of foldersIn(servicesFolder)) {
        if (!NAME_ON_NODE.test(name)) continue;
        const isKept = await holdingNetwork(name, signal, () => keepServices(context, name));
        if (isKept) kept.push(name);
      }
      return kept;
    },
    keepMetadata: (answer, signal) =>
      keepMetadata(context, answer, signal, (name, work) => holdingNetwork(name, signal, work)),
    closedNameservers: (addresses) => {
      const closed = closedFor(readOwnNetworks(), transitPool);
      return addresses.filter((address) =>
        isClosedNameserver(address, closed, openings, leavesNode(ipv6)),
      );
    },
    listTaps: async (signal) => listTaps(context, signal),
    listNetworks: async (signal) => listNetworks(context, signal),
    async connect(networkName, address, port, signal) {
      checkNetworkName(networkName);
      return await connectIn(names.netnsPath(networkName), networkName, address, port, signal);
    },
  };
}

function block(text: string): Cidr {
  const parsed = parseBlock(text);
  if (parsed !== undefined) return parsed;
  throw invalid("guest-destinations", `must be CIDRs such as 10.0.0.0/24, got "${text}"`);
}

/** A tap, and who its guest is if the caller knows it. */
interface Port {
  readonly tapName: string;
  readonly identity: PortIdentity | undefined;
  readonly groups: PortSpec["groups"];
  readonly limits: PortLimits | undefined;
  readonly entry: GuestEntry | undefined;
}

/** Refuses wrong names and addresses before anything is made. */
function portOf(tapName: string, network: NetworkSpec, spec: PortSpec = {}): Port {
  checkTapName(tapName);
  checkNetwork(network);
  return { tapName, limits: spec.limits, ...checkPort(spec, canJudge()) };
}

/** The caller holds the tap and the network. */
async function attach(
  context: Context,
  { tapName, identity, groups, limits, entry }: Port,
  network: NetworkSpec,
  signal: AbortSignal,
): Promise<Attached> {
  const { ip, names } = context;
  const netns = names.netnsName(network.name);
  const bridge = names.bridge(network.name);
  const places = await whereIs(context, tapName);
  if (places.length === 0) throw tapMissing(tapName);
  const place = places.includes(network.name) ? network.name : places[0];
  if (place !== undefined && place !== network.name) throw tapElsewhere(tapName, place);

  const [tap, before] = await Promise.all([
    ip.link(place === undefined ? undefined : netns, tapName, signal),
    readNetwork(context, network.name, signal),
  ]);
  if (tap === undefined) throw tapMissing(tapName);
  if (!isOurTap(names, tap)) throw notOurs(tapName);
  await ensureNetwork(context, network, before, markOfTap(names, tap).transactionId, signal);

  await joinServices(context, network);
  // Guests do without metadata until it listens, which `keepMetadata` tries again.
  await context.metadata.listen(network.name).catch(() => {});
  // Before the guest can send anything.
  if (identity !== undefined) await ensureFilter(context, network.name, tapName, identity);
  if (groups === "off") takeGroups(context, network.name, tapName);
  else if (groups !== undefined && identity !== undefined) {
    const asked = { tapName, identity, groups };
    if (!(await ensureGroups(context, network.name, asked))) return "needs_members";
  }
  if (entry !== undefined) await ensureEntry(context, network.name, tapName, entry);
  const limit = () => limits && ensureLimits(names.netnsPath(network.name), tapName, limits);
  const { mtu } = network;
  const isSized = mtu === undefined || tap.mtu === mtu;
  if (place !== undefined && tap.master === bridge && tap.isUp && isSized) {
    limit();
    return "attached";
  }
  // One netlink message moves the tap, connects it and sets it up, in this order. So it names the bridge by its
  // index over there. A moved tap keeps its alias and its group.
  const masterIndex = deviceIndex(names.netnsPath(network.name), bridge);
  if (masterIndex === undefined) throw new Error(`network ${network.name} has lost its bridge`);
  const set = { kind: "set", name: tapName, masterIndex, isUp: true, ...defined({ mtu }) } as const;
  if (place === undefined) await ip.change(undefined, [{ ...set, netns }], signal);
  else await ip.change(netns, [set], signal);
  // Only in its namespace. For a moment it has none.
  limit();
  return "attached";
}
