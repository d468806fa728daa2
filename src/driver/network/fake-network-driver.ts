import type { Duplex } from "node:stream";
import { defined } from "../../util/defined.ts";
import { quietStream } from "../../util/quiet-stream.ts";
import { onAbort } from "../../util/race.ts";
import { ownerOnNode } from "../../util/ref.ts";
import { isMadeBy, type Maker, type Mark } from "../mark.ts";
import { type FakeNetwork, type FakeTap, groupsSurvey, newFakeGroups } from "./fake-groups.ts";
import { namedIn, segmentOf } from "./fake-segments.ts";
import {
  entryAfter,
  entryOf,
  keepMetadata,
  keepServices,
  servicesAfter,
  servicesSurvey,
} from "./fake-services.ts";
import { checkVlan, externalOf, type FakeVlans, vlanObstacle } from "./fake-vlans.ts";
import type { AnswerMetadata } from "./metadata.ts";
import {
  checkEndpoint,
  checkNetwork,
  checkNetworkName,
  checkTapName,
  gatewaysOf,
} from "./network-check.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";
import {
  networkNotHere,
  nobodyAnswers,
  notOurs,
  tapElsewhere,
  tapMissing,
  tapOfAnother,
} from "./network-errors.ts";
import {
  NO_SEGMENT,
  type NodeNetworkSurvey,
  type PartState,
  type PortFilter,
  type PortLimitsSurvey,
  type StrayUplink,
} from "./network-survey.ts";
import { asOwn, type PortIdentity } from "./port-identity.ts";
import { isSameLimits, type PortLimits } from "./port-limits.ts";
import {
  type Attached,
  checkGroupsOfNetwork,
  checkPort,
  type PortSpec,
} from "./security-groups.ts";
import { MTU_OF_ETHERNET, type Segment, type Underlay } from "./segment.ts";
import { checkSegment } from "./segment-check.ts";

export type NetworkMethod = keyof NetworkDriver;

type ConnectHandler = (
  networkName: string,
  address: string,
  port: number,
  signal: AbortSignal,
) => Duplex | Promise<Duplex>;

export interface FakeNetworkDriver extends NetworkDriver {
  /** Everything on the node, as plain data, to compare it before and after. */
  snapshot(): { taps: Record<string, FakeTap>; networks: Record<string, FakeNetwork> };
  hasTap(tapName: string): boolean;
  /** Whether the kernel of the node can enforce security groups. */
  canJudge: boolean;
  /** The names of devices on the node that are not ours. */
  readonly foreignDevices: Set<string>;
  /** Called before a method does anything. May throw or wait for ever, to make the method fail or hang. */
  before: (method: NetworkMethod, signal: AbortSignal) => void | Promise<void>;
  /** Called after a method has done its work. An error here stands for a lost answer. */
  after: (method: NetworkMethod, signal: AbortSignal) => void | Promise<void>;
  /** Changes on the node that no method makes. */
  readonly hands: FakeNodeHands;
  /** Answers `connect`. While it is undefined, nobody answers. */
  connectHandler: ConnectHandler | undefined;
  /** Answers what guests ask about themselves. While it is undefined, nobody does. */
  answerMetadata: AnswerMetadata | undefined;
}

/** The node, as a user with root can change it. */
interface FakeNodeHands {
  readonly taps: Map<string, FakeTap>;
  readonly networks: Map<string, FakeNetwork>;
  readonly strayUplinks: Set<StrayUplink>;
  /** The names of networks that are not here, and have services. */
  readonly strayServices: Set<string>;
  /** Undefined: the rules are as they should be. */
  nodeRules: PartState | undefined;
  /** The addresses that guests cannot reach. */
  readonly closed: Set<string>;
  /** Why the node cannot forward IPv6. */
  ipv6Obstacle: string | undefined;
  /** By address, the devices of the node. */
  readonly underlays: Map<string, Underlay>;
  /** Undefined: networks join no VLANs. */
  vlans: FakeVlans | undefined;
  /** The numbers of VXLAN devices that are not ours. */
  readonly foreignVnis: Set<number>;
}

/** Keeps taps and networks in memory. */
export function newFakeNetworkDriver(): FakeNetworkDriver {
  const taps = new Map<string, FakeTap>();
  const networks = new Map<string, FakeNetwork>();
  const hands: FakeNodeHands = {
    taps,
    networks,
    strayUplinks: new Set(),
    strayServices: new Set(),
    nodeRules: undefined,
    closed: new Set(),
    ipv6Obstacle: undefined,
    underlays: new Map(),
    foreignVnis: new Set(),
    vlans: undefined,
  };

  const { takeGroups, applyGroups, groupsOf, withoutUnused } = newFakeGroups(taps, networks);

  async function during<T>(method: NetworkMethod, signal: AbortSignal, work: () => T): Promise<T> {
    signal.throwIfAborted();
    await fake.before(method, signal);
    signal.throwIfAborted();
    const result = work();
    await fake.after(method, signal);
    return result;
  }
  const tapNamesOf = (networkName: string) =>
    [...taps].filter(([, tap]) => tap.networkName === networkName).map(([name]) => name);

  /** Whole. What the request does not say stays as it is, but for the way outside. */
  function putNetwork(network: NetworkSpec, mark: Mark): void {
    const { name, mtu, isNatOff } = network;
    const { damage: _, isNatOff: __, services: before, ...rest } = networks.get(name) ?? {};
    const services = servicesAfter(network, before);
    const vlanId = hands.vlans === undefined ? undefined : network.vlanId;
    const its = defined({ mtu, isNatOff, services, vlanId });
    networks.set(name, { ...rest, mark, gateways: gatewaysOf(network), ...its });
  }
  function setSegment(segment: Segment): void {
    const there = networks.get(segment.networkName);
    if (there === undefined) return;
    const { segment: _, elsewhere: __, ...rest } = there;
    const guests = there.services === undefined ? [] : namedIn(segment);
    const elsewhere = guests.length === 0 ? {} : { elsewhere: guests };
    const way = segment.peers.length === 0 ? {} : { segment: segmentOf(hands, segment) };
    networks.set(segment.networkName, { ...rest, ...way, ...elsewhere });
  }

  function attach(tapName: string, network: NetworkSpec, asked: PortSpec = {}): Attached {
    checkTapName(tapName);
    checkNetwork(network);
    const port = checkPort(asked, fake.canJudge);
    checkVlan(hands.vlans, network);
    const tap = taps.get(tapName);
    if (tap === undefined) {
      throw fake.foreignDevices.has(tapName) ? notOurs(tapName) : tapMissing(tapName);
    }
    if (tap.networkName !== undefined && tap.networkName !== network.name) {
      throw tapElsewhere(tapName, tap.networkName);
    }
    const { transactionId } = tap.mark;
    const mark = networks.get(network.name)?.mark ?? {
      owner: ownerOnNode("network", network.name),
      transactionId,
    };
    const { isNatOff } = networks.get(network.name) ?? network;
    const { isNatOff: _, ...spec } = network;
    putNetwork({ ...spec, ...defined({ isNatOff }) }, mark);
    const limits = someOf(asked.limits ?? tap.limits);
    const identity = port.identity ?? tap.identity;
    const grouped = takeGroups(network.name, port);
    if (grouped === "needs_members") return grouped;
    const groupIds = grouped ?? (port.groups === "off" ? undefined : tap.groupIds);
    const mtu = network.mtu ?? tap.mtu;
    const entry = entryAfter(port.entry, tap, networks.get(network.name)!);
    taps.set(tapName, {
      mark: tap.mark,
      networkName: network.name,
      ...defined({ identity, groupIds, limits, mtu, entry }),
    });
    return "attached";
  }

  function dropStrays(networkName: string): void {
    for (const stray of hands.strayUplinks) {
      if (stray.networkName === networkName) hands.strayUplinks.delete(stray);
    }
  }

  function makeWhole(network: NetworkSpec): void {
    checkNetwork(network);
    const there = networks.get(network.name);
    if (there === undefined) throw networkNotHere(network.name);
    checkVlan(hands.vlans, network);
    const { vlanId: _, ...rest } = there;
    networks.set(network.name, rest);
    putNetwork(network, there.mark);
    for (const [name, { isLoose: _, ...tap }] of taps) {
      if (tap.networkName === network.name) taps.set(name, tap);
    }
    hands.nodeRules = undefined;
  }

  function move(tapName: string, network: NetworkSpec, maker: Maker, port?: PortSpec): Attached {
    checkTapName(tapName);
    const tap = taps.get(tapName);
    const isElsewhere = tap?.networkName !== undefined && tap.networkName !== network.name;
    if (isElsewhere && isMadeBy(tap.mark, maker)) taps.set(tapName, { mark: tap.mark });
    return attach(tapName, network, port);
  }

  function survey(): NodeNetworkSurvey {
    const rules = networks.size > 0 ? "whole" : "absent";
    return {
      taps: [...taps].map(([name, tap]) => {
        const { mark, networkName, isLoose = false, identity, limits } = tap;
        const { mtu = MTU_OF_ETHERNET } = tap;
        const isConnected = networkName !== undefined && !isLoose;
        const listed = { name, mark, ...defined({ networkName }), isConnected };
        const known = { groups: groupsOf(tap), entry: entryOf(tap) };
        return { ...listed, mtu, filter: filterOf(identity), limits: found(limits), ...known };
      }),
      networks: [...networks].map(([name, network]) => {
        const { mark, gateways, damage, segment = NO_SEGMENT, isNatOff = false } = network;
        const { mtu = MTU_OF_ETHERNET } = network;
        const whole = { namespace: "whole", bridge: "whole", uplink: "whole", rules } as const;
        const lists = { tapNames: tapNamesOf(name), strayFilters: [] };
        const external = defined({ external: externalOf(hands.vlans, network) });
        const of = { groups: groupsSurvey(network), ...servicesSurvey(network), ...external };
        const parts = { ...whole, ...of, segment, isNatOff, mtu };
        return { name, mark, gateways, ...lists, ...parts, ...damage };
      }),
      strayUplinks: [...hands.strayUplinks],
      strayServices: [...hands.strayServices],
      nodeRules: hands.nodeRules ?? rules,
    };
  }

  const fake: FakeNetworkDriver = {
    hands,
    foreignDevices: new Set(),
    before: () => {},
    after: () => {},
    connectHandler: undefined,
    answerMetadata: undefined,
    hasTap: (tapName) => taps.has(tapName),
    canJudge: true,
    snapshot() {
      const shown = [...networks].map(([name, network]) => [name, withoutUnused(name, network)]);
      return structuredClone({
        taps: Object.fromEntries(taps),
        networks: Object.fromEntries(shown),
      });
    },

    ensureTap: (tapName, mark, signal) =>
      during("ensureTap", signal, () => {
        checkTapName(tapName);
        if (fake.foreignDevices.has(tapName)) throw notOurs(tapName);
        const old = taps.get(tapName);
        if (old !== undefined && !isMadeBy(old.mark, { owner: mark.owner })) {
          throw tapOfAnother(tapName, old.mark);
        }
        taps.set(tapName, { mark: { ...mark } });
      }),
    ensureLimits: (tapName, networkName, asked, signal) =>
      during("ensureLimits", signal, () => {
        checkTapName(tapName);
        checkNetworkName(networkName);
        const present = taps.get(tapName);
        if (present?.networkName !== networkName) return;
        const { limits: _, ...tap } = present;
        taps.set(tapName, { ...tap, ...defined({ limits: someOf(asked) }) });
      }),
    ensureTapOut: (tapName, mark, signal) =>
      during("ensureTapOut", signal, () => {
        checkTapName(tapName);
        if (fake.foreignDevices.has(tapName)) throw notOurs(tapName);
        const old = taps.get(tapName);
        if (old !== undefined && !isMadeBy(old.mark, { owner: mark.owner })) {
          throw tapOfAnother(tapName, old.mark);
        }
        taps.set(tapName, { mark: old?.mark ?? { ...mark } });
      }),
    ensureAttached: (tapName, network, signal, port) =>
      during("ensureAttached", signal, () => attach(tapName, network, port)),
    applyGroups: (networkName, wanted, signal) =>
      during("applyGroups", signal, () => {
        checkNetworkName(networkName);
        applyGroups(networkName, checkGroupsOfNetwork(wanted));
      }),
    ensureGateways: (network, signal) =>
      during("ensureGateways", signal, () => {
        checkNetwork(network);
        const there = networks.get(network.name);
        if (there === undefined) return;
        const { damage } = there;
        putNetwork(network, there.mark);
        networks.set(network.name, { ...networks.get(network.name)!, ...defined({ damage }) });
      }),
    ensureSegment: (segment, signal) =>
      during("ensureSegment", signal, () => setSegment(checkSegment(segment))),
    findUnderlay: (address, signal) =>
      during("findUnderlay", signal, () => hands.underlays.get(address)),
    ensureTapAbsent: (tapName, networkName, maker, signal) =>
      during("ensureTapAbsent", signal, () => {
        checkTapName(tapName);
        checkNetworkName(networkName);
        const tap = taps.get(tapName);
        if (tap !== undefined && isMadeBy(tap.mark, maker)) taps.delete(tapName);
        if (tapNamesOf(networkName).length === 0) networks.delete(networkName);
      }),
    ensureNetworkAbsent: (networkName, signal) =>
      during("ensureNetworkAbsent", signal, () => {
        checkNetworkName(networkName);
        for (const name of tapNamesOf(networkName)) taps.delete(name);
        networks.delete(networkName);
      }),
    listTaps: (signal) =>
      during("listTaps", signal, () =>
        [...taps].map(([name, { mark, networkName }]) => ({
          name,
          mark,
          ...defined({ networkName }),
        })),
      ),
    listNetworks: (signal) =>
      during("listNetworks", signal, () =>
        [...networks].map(([name, { mark, gateways }]) => ({
          ...{ name, mark, gateways },
          tapNames: tapNamesOf(name),
        })),
      ),
    survey: (signal) => during("survey", signal, survey),
    ensureNetworkWhole: (network, signal, groups) =>
      during("ensureNetworkWhole", signal, () => {
        const checked = groups === undefined ? undefined : checkGroupsOfNetwork(groups);
        makeWhole(network);
        if (checked !== undefined) applyGroups(network.name, checked, true);
      }),
    moveTap: (tapName, network, maker, signal, port) =>
      during("moveTap", signal, () => move(tapName, network, maker, port)),
    sweepNetwork: (networkName, signal) =>
      during("sweepNetwork", signal, () => {
        checkNetworkName(networkName);
        if (tapNamesOf(networkName).length === 0) networks.delete(networkName);
        dropStrays(networkName);
        hands.strayServices.delete(networkName);
      }),
    ensureNodeRules: (signal) =>
      during("ensureNodeRules", signal, () => {
        hands.nodeRules = undefined;
      }),
    keepNodeRules: (signal) =>
      during("keepNodeRules", signal, () => {
        if (hands.nodeRules !== "absent" || networks.size === 0) return false;
        hands.nodeRules = undefined;
        return true;
      }),
    ipv6Obstacle: () => hands.ipv6Obstacle,
    externalObstacle: async () => vlanObstacle(hands.vlans),
    judgesGroups: () => fake.canJudge,
    keepServices: (signal) =>
      during("keepServices", signal, () => keepServices(networks, hands.strayServices)),
    keepMetadata: (answer, signal) =>
      during("keepMetadata", signal, () => keepMetadata(fake, answer)),
    closedNameservers: (addresses) => addresses.filter((one) => hands.closed.has(one)),
    async connect(networkName, address, port, signal) {
      await during("connect", signal, () => {
        checkNetworkName(networkName);
        checkEndpoint(address, port);
        if (!networks.has(networkName)) throw networkNotHere(networkName);
      });
      if (fake.connectHandler === undefined) throw nobodyAnswers(networkName, address, port);
      const stream = quietStream(await fake.connectHandler(networkName, address, port, signal));
      const listening = onAbort(signal, () => stream.destroy(new Error("aborted")));
      stream.once("close", () => listening[Symbol.dispose]());
      return stream;
    },
  };
  return fake;
}

function someOf(limits: PortLimits = {}): PortLimits | undefined {
  return isSameLimits(limits, {}) ? undefined : limits;
}

function found(limits: PortLimits | undefined): PortLimitsSurvey {
  return limits === undefined ? { state: "absent" } : { state: "whole", limits };
}

function filterOf(identity: PortIdentity | undefined): PortFilter {
  return identity === undefined
    ? { state: "absent" }
    : { state: "whole", identity: asOwn(identity) };
}
