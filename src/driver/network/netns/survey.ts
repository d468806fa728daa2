import { readFileSync } from "node:fs";
import { defined } from "../../../util/defined.ts";
import { nameOnNode, ownerOnNode, parseRef } from "../../../util/ref.ts";
import type { Mark } from "../../mark.ts";
import { parseLinkMark } from "../link-mark.ts";
import {
  type NetworkSurvey,
  NO_SEGMENT,
  type NodeNetworkSurvey,
  type PartState,
  type PortFilter,
  type PortLimitsSurvey,
  type StrayUplink,
  type TapSurvey,
} from "../network-survey.ts";
import type { PortIdentity } from "../port-identity.ts";
import type { PortGroupsSurvey } from "../security-groups.ts";
import type { Context } from "./context.ts";
import { surveyExternal } from "./external.ts";
import { straysOf, surveyFilters } from "./filters.ts";
import { surveyGroups } from "./group-survey.ts";
import { type Found, readNetworks } from "./inventory.ts";
import { hasIpv6 } from "./ipv6-forwarding.ts";
import { surveyLimits } from "./limits.ts";
import type { Link } from "./links.ts";
import { metadataState } from "./metadata/state.ts";
import { UPLINK_INSIDE } from "./names.ts";
import { inNamespace } from "./namespace.ts";
import { canJudge, FORWARD_MASK, type NetworkState, READY } from "./network.ts";
import { readRoutes6 } from "./own-networks.ts";
import { insideRulesState, nodeRulesState } from "./rules.ts";
import { surveySegment } from "./segment.ts";
import { guardState } from "./segment-senders.ts";
import { NO_ENTRY, strayServices, surveyServices } from "./services/survey.ts";
import { isOurTap, markOfTap } from "./tap.ts";
import { lacksIpv6, uplinkWorks } from "./uplink.ts";

const NO_FILTER: PortFilter = { state: "absent" };
const NO_LIMITS: PortLimitsSurvey = { state: "absent" };
const NO_GROUPS: PortGroupsSurvey = { state: "absent", groups: [], rules: "" };

export async function surveyNode(
  context: Context,
  signal: AbortSignal,
): Promise<NodeNetworkSurvey> {
  signal.throwIfAborted();
  const { ip, names, guard } = context;
  const { changes } = guard;
  const outside = await ip.links(undefined, signal);
  const found = await readNetworks(context, signal);
  const tapsOutside = outside
    .filter((link) => isOurTap(names, link))
    .map((link) => ({
      name: link.name,
      mark: markOfTap(names, link),
      mtu: link.mtu,
      isConnected: false,
      filter: NO_FILTER,
      limits: NO_LIMITS,
      groups: NO_GROUPS,
      entry: NO_ENTRY,
    }));
  const inside: InsideSurvey[] = [];
  for (const network of found) inside.push(await surveyInside(context, network));
  return {
    taps: [...tapsOutside, ...inside.flatMap(({ taps }) => taps)],
    networks: inside.map(({ network }) => network),
    strayUplinks: strayUplinks(context, outside, found),
    strayServices: strayServices(
      context,
      found.map(({ name }) => name),
    ),
    nodeRules: rulesState(
      nodeRulesState(context),
      await guardState(context, found, changes, signal),
    ),
  };
}

/** A node without ways to other nodes has no rules for them. */
function rulesState(rules: PartState, guard: PartState): PartState {
  return guard === "absent" || guard === rules ? rules : "altered";
}

interface InsideSurvey {
  readonly network: NetworkSurvey;
  readonly taps: readonly TapSurvey[];
}

async function surveyInside(context: Context, { name, state }: Found): Promise<InsideSurvey> {
  const { names } = context;
  const mark = { owner: ownerOnNode("network", name), transactionId: "" };
  if (state.kind !== "namespace") return { network: bareName(context, name, mark), taps: [] };
  const { links, bridge } = state;
  const path = names.netnsPath(name);
  const taps = links.filter((link) => isOurTap(names, link));
  const tapNames = taps.map((link) => link.name);
  const { state: filterState, filters } = surveyFilters(names, path);
  const limits = surveyLimits(path);
  const identities = new Map<string, PortIdentity>(
    [...filters].flatMap(([tap, { identity }]) =>
      identity === undefined ? [] : [[tap, identity]],
    ),
  );
  const groups = surveyGroups(names, path, identities);
  const inside = insideRulesState(names, path);
  const { entries, ...services } = surveyServices(context, name, {
    gateways: bridge?.addresses ?? [],
    mtu: bridge?.mtu,
    isNatOff: inside.isNatOff,
  });
  const segment = await surveySegment(names, name, state);
  return {
    network: {
      name,
      mark: { ...mark, transactionId: state.mark?.transactionId ?? "" },
      tapNames,
      gateways: bridge?.addresses ?? [],
      namespace: "whole",
      bridge: bridgeState(state),
      mtu: bridge?.mtu ?? 0,
      uplink: uplinkState(path, links),
      rules: inside.state === filterState ? inside.state : "altered",
      isNatOff: inside.isNatOff,
      strayFilters: straysOf(tapNames, filters, limits, groups.ports),
      groups: {
        state: groups.state,
        members: groups.members,
        ...defined({ generation: groups.generation }),
      },
      segment,
      ...defined({ external: surveyExternal(context, name, links) }),
      ...{ services: services.state, metadata: metadataState(context.metadata, name, bridge) },
      ...defined({ served: services.served, namesElsewhere: services.namesElsewhere }),
      strayEntries: [...entries.keys()].filter((tapName) => !tapNames.includes(tapName)),
    },
    taps: taps.map((link) => ({
      name: link.name,
      mark: markOfTap(names, link),
      networkName: name,
      mtu: link.mtu,
      isConnected: link.master === names.bridge(name) && link.isUp,
      filter: filters.get(link.name) ?? NO_FILTER,
      limits: limits.get(link.name) ?? NO_LIMITS,
      groups: groups.ports.get(link.name) ?? NO_GROUPS,
      entry: entries.get(link.name) ?? NO_ENTRY,
    })),
  };
}

/** A network of which the name of its namespace is there, and the namespace is not. */
function bareName(context: Context, name: string, mark: Mark): NetworkSurvey {
  return {
    ...{ name, mark, tapNames: [], gateways: [], strayFilters: [], strayEntries: [] },
    ...{ namespace: "altered", bridge: "absent", uplink: "absent", rules: "absent" },
    segment: NO_SEGMENT,
    mtu: 0,
    isNatOff: false,
    groups: { state: "absent", members: "" },
    metadata: "absent",
    services: surveyServices(context, name, { gateways: [], mtu: undefined, isNatOff: false })
      .state,
  };
}

function bridgeState({ bridge, mark }: Extract<NetworkState, { kind: "namespace" }>): PartState {
  if (bridge === undefined) return "absent";
  const isLed = bridge.forwardMask === FORWARD_MASK && (bridge.callsFilters || !canJudge());
  const isWhole = bridge.isUp && isLed && mark?.state === READY;
  return isWhole ? "whole" : "altered";
}

export function uplinkState(path: string, links: readonly Link[]): PartState {
  if (!links.some(({ name }) => name === UPLINK_INSIDE)) return "absent";
  const isWhole = uplinkWorks(links) && hasDefaultRoute(path);
  const isWhole6 = !hasIpv6() || (!lacksIpv6(links) && hasDefaultRoute6(path));
  return isWhole && isWhole6 ? "whole" : "altered";
}

function hasDefaultRoute6(path: string): boolean {
  return inNamespace(path, readRoutes6).some(
    ({ device, cidr }) => device === UPLINK_INSIDE && cidr.prefixLength === 0,
  );
}

/** Reads the kernel's table in the thread that is inside, without a process. */
function hasDefaultRoute(path: string): boolean {
  const table = inNamespace(path, () => readFileSync("/proc/thread-self/net/route", "utf8"));
  return table.split("\n").some((line) => {
    const [device, destination, , , , , , mask] = line.trim().split(/\s+/);
    return device === UPLINK_INSIDE && destination === "00000000" && mask === "00000000";
  });
}

/** The other end must be in the namespace of this network, not just in any. */
export function strayUplinks(
  { names }: Context,
  outside: readonly Link[],
  found: readonly Found[],
): StrayUplink[] {
  return outside.flatMap((link) => {
    if (link.kind !== "veth") return [];
    const network = parseRef(parseLinkMark(names.prefix, link.alias)?.owner ?? "");
    if (network?.kind !== "network") return [];
    const networkName = nameOnNode(network);
    const state = found.find(({ name }) => name === networkName)?.state;
    const inside = state?.kind === "namespace" ? state.links : [];
    const end = inside.find(({ name }) => name === UPLINK_INSIDE);
    return end?.peerIndex === link.index ? [] : [{ device: link.name, networkName }];
  });
}
