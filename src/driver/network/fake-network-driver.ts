import type { Duplex } from "node:stream";
import { defined } from "../../util/defined.ts";
import { onAbort } from "../../util/race.ts";
import { ownerOnNode } from "../../util/ref.ts";
import { isMadeBy, type Maker, type Mark } from "../mark.ts";
import { checkEndpoint, checkNetworkName, checkTapName, gatewaysOf } from "./network-check.ts";
import type { NetworkDriver, NetworkSpec } from "./network-driver.ts";
import {
  networkNotHere,
  nobodyAnswers,
  notOurs,
  segmentRefused,
  tapElsewhere,
  tapMissing,
  tapOfAnother,
  underlayMissing,
  underlayTooSmall,
} from "./network-errors.ts";
import {
  type NetworkPartsSurvey,
  NO_SEGMENT,
  type NodeNetworkSurvey,
  type PartState,
  type PortFilter,
  type PortLimitsSurvey,
  type SegmentSurvey,
  type StrayUplink,
} from "./network-survey.ts";
import { checkIdentity, type PortIdentity } from "./port-identity.ts";
import { isSameLimits, type PortLimits } from "./port-limits.ts";
import { type Segment, type Underlay, underlayMtuFor } from "./segment.ts";
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
}

interface FakeTap {
  readonly mark: Mark;
  readonly networkName?: string;
  /** Somebody has taken the tap off its bridge. */
  readonly isLoose?: boolean;
  /** Whose packets its filter lets pass; undefined: it has no filter. */
  readonly identity?: PortIdentity;
  /** Undefined: it has none. */
  readonly limits?: PortLimits;
}

interface FakeNetwork {
  readonly mark: Mark;
  readonly gateways: readonly string[];
  readonly mtu?: number;
  readonly isNatOff?: true;
  readonly segment?: SegmentSurvey;
  /** The parts that somebody has removed or changed. */
  readonly damage?: Partial<NetworkPartsSurvey>;
}

/** The node, as a user with root can change it. */
interface FakeNodeHands {
  readonly taps: Map<string, FakeTap>;
  readonly networks: Map<string, FakeNetwork>;
  readonly strayUplinks: Set<StrayUplink>;
  /** Undefined: the rules are as they should be. */
  nodeRules: PartState | undefined;
  /** The addresses that guests cannot reach. */
  readonly closed: Set<string>;
  /** Why the node cannot forward IPv6. */
  ipv6Obstacle: string | undefined;
  /** By address, the devices of the node. */
  readonly underlays: Map<string, Underlay>;
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
    nodeRules: undefined,
    closed: new Set(),
    ipv6Obstacle: undefined,
    underlays: new Map(),
    foreignVnis: new Set(),
  };

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

  /** What the request does not say stays as it is. */
  function putNetwork(
    { name, mtu, isNatOff }: NetworkSpec,
    mark: Mark,
    gateways: readonly string[],
  ): void {
    const before = networks.get(name);
    const size = mtu ?? before?.mtu;
    const its = defined({ mtu: size, segment: before?.segment, isNatOff });
    networks.set(name, { mark, gateways, ...its });
  }

  function setSegment(segment: Segment): void {
    const there = networks.get(segment.networkName);
    if (there === undefined) return;
    const { segment: _, ...rest } = there;
    networks.set(
      segment.networkName,
      segment.peers.length === 0 ? rest : { ...rest, segment: segmentOf(hands, segment) },
    );
  }

  function attach(
    tapName: string,
    network: NetworkSpec,
    asked?: PortIdentity,
    askedLimits?: PortLimits,
  ): void {
    checkTapName(tapName);
    checkNetworkName(network.name);
    const gateways = gatewaysOf(network);
    const checked = asked === undefined ? undefined : checkIdentity(asked);
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
    putNetwork({ ...spec, ...defined({ isNatOff }) }, mark, gateways);
    const identity = checked ?? tap.identity;
    const limits = someOf(askedLimits ?? tap.limits);
    const its = defined({ identity, limits });
    taps.set(tapName, { mark: tap.mark, networkName: network.name, ...its });
  }

  function dropStrays(networkName: string): void {
    for (const stray of hands.strayUplinks) {
      if (stray.networkName === networkName) hands.strayUplinks.delete(stray);
    }
  }

  function makeWhole(network: NetworkSpec): void {
    checkNetworkName(network.name);
    const gateways = gatewaysOf(network);
    const there = networks.get(network.name);
    if (there === undefined) throw networkNotHere(network.name);
    putNetwork(network, there.mark, gateways);
    for (const [name, { isLoose: _, ...tap }] of taps) {
      if (tap.networkName === network.name) taps.set(name, tap);
    }
    hands.nodeRules = undefined;
  }

  function move(
    tapName: string,
    network: NetworkSpec,
    maker: Maker,
    identity?: PortIdentity,
    limits?: PortLimits,
  ): void {
    checkTapName(tapName);
    const tap = taps.get(tapName);
    const isElsewhere = tap?.networkName !== undefined && tap.networkName !== network.name;
    if (isElsewhere && isMadeBy(tap.mark, maker)) taps.set(tapName, { mark: tap.mark });
    attach(tapName, network, identity, limits);
  }

  function survey(): NodeNetworkSurvey {
    const rules = networks.size > 0 ? "whole" : "absent";
    return {
      taps: [...taps].map(([name, { isLoose = false, identity, limits, ...tap }]) => {
        const isConnected = tap.networkName !== undefined && !isLoose;
        return { name, ...tap, isConnected, filter: filterOf(identity), limits: found(limits) };
      }),
      networks: [...networks].map(
        ([name, { damage, mtu: _, segment = NO_SEGMENT, isNatOff = false, ...network }]) => {
          const whole = { namespace: "whole", bridge: "whole", uplink: "whole", rules } as const;
          const lists = { tapNames: tapNamesOf(name), strayFilters: [] };
          return { name, ...network, ...lists, ...whole, segment, isNatOff, ...damage };
        },
      ),
      strayUplinks: [...hands.strayUplinks],
      nodeRules: hands.nodeRules ?? rules,
    };
  }

  const fake: FakeNetworkDriver = {
    hands,
    foreignDevices: new Set(),
    before: () => {},
    after: () => {},
    connectHandler: undefined,
    hasTap: (tapName) => taps.has(tapName),
    snapshot: () =>
      structuredClone({ taps: Object.fromEntries(taps), networks: Object.fromEntries(networks) }),

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
    ensureAttached: (tapName, network, signal, identity, limits) =>
      during("ensureAttached", signal, () => attach(tapName, network, identity, limits)),
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
    ensureGateways: (network, signal) =>
      during("ensureGateways", signal, () => {
        checkNetworkName(network.name);
        const gateways = gatewaysOf(network);
        const there = networks.get(network.name);
        if (there === undefined) return;
        const { isNatOff: _, ...rest } = there;
        const its = defined({ isNatOff: network.isNatOff });
        networks.set(network.name, { ...rest, gateways, ...its });
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
        [...taps].map(([name, { identity: _, limits: __, ...tap }]) => ({ name, ...tap })),
      ),
    listNetworks: (signal) =>
      during("listNetworks", signal, () =>
        [...networks].map(([name, { mark, gateways }]) => ({
          ...{ name, mark, gateways },
          tapNames: tapNamesOf(name),
        })),
      ),
    survey: (signal) => during("survey", signal, survey),
    ensureNetworkWhole: (network, signal) =>
      during("ensureNetworkWhole", signal, () => makeWhole(network)),
    moveTap: (tapName, network, maker, signal, identity, limits) =>
      during("moveTap", signal, () => move(tapName, network, maker, identity, limits)),
    sweepNetwork: (networkName, signal) =>
      during("sweepNetwork", signal, () => {
        checkNetworkName(networkName);
        if (tapNamesOf(networkName).length === 0) networks.delete(networkName);
        dropStrays(networkName);
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
    closedNameservers: (addresses) => addresses.filter((one) => hands.closed.has(one)),
    async connect(networkName, address, port, signal) {
      await during("connect", signal, () => {
        checkNetworkName(networkName);
        checkEndpoint(address, port);
        if (!networks.has(networkName)) throw networkNotHere(networkName);
      });
      if (fake.connectHandler === undefined) throw nobodyAnswers(networkName, address, port);
      const stream = await fake.connectHandler(networkName, address, port, signal);
      const end = () => stream.destroy(new DOMException("aborted", "AbortError"));
      const listening = onAbort(signal, end);
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
  return identity === undefined ? { state: "absent" } : { state: "whole", identity };
}

/** The segment as the node shows it, if the node can carry it. */
function segmentOf({ underlays, foreignVnis }: FakeNodeHands, segment: Segment): SegmentSurvey {
  const { networkName, vni, mtu, underlayAddress, peers } = segment;
  const underlay = underlays.get(underlayAddress);
  if (underlay === undefined) throw underlayMissing(networkName, underlayAddress);
  const needed = underlayMtuFor(segment);
  if (underlay.mtu < needed) throw underlayTooSmall(segment, underlay, needed);
  if (foreignVnis.has(vni)) throw segmentRefused(segment, new Error("it exists"));
  return { device: "whole", vni, mtu, underlayAddress, peers, strays: [] };
}
