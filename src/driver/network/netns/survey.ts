import { readFileSync } from "node:fs";
import { nameOnNode, ownerOnNode, parseRef } from "../../../util/ref.ts";
import { parseLinkMark } from "../link-mark.ts";
import type {
  NetworkSurvey,
  NodeNetworkSurvey,
  PartState,
  StrayUplink,
  TapSurvey,
} from "../network-survey.ts";
import type { Context } from "./context.ts";
import { type Found, readNetworks } from "./inventory.ts";
import type { Link } from "./links.ts";
import { UPLINK_INSIDE } from "./names.ts";
import { inNamespace } from "./namespace.ts";
import { type NetworkState, READY } from "./network.ts";
import { insideRulesState, nodeRulesState } from "./rules.ts";
import { isOurTap, markOfTap } from "./tap.ts";
import { uplinkWorks } from "./uplink.ts";

export async function surveyNode(
  context: Context,
  signal: AbortSignal,
): Promise<NodeNetworkSurvey> {
  signal.throwIfAborted();
  const { ip, names } = context;
  const outside = await ip.links(undefined, signal);
  const found = await readNetworks(context, signal);
  const tapsOutside = outside
    .filter((link) => isOurTap(names, link))
    .map((link) => ({ name: link.name, mark: markOfTap(names, link), isConnected: false }));
  return {
    taps: [...tapsOutside, ...found.flatMap((network) => surveyTaps(context, network))],
    networks: found.map((network) => surveyNetwork(context, network)),
    strayUplinks: strayUplinks(context, outside, found),
    nodeRules: nodeRulesState(context),
  };
}

function surveyTaps({ names }: Context, { name: networkName, state }: Found): TapSurvey[] {
  if (state.kind !== "namespace") return [];
  return state.links
    .filter((link) => isOurTap(names, link))
    .map((link) => ({
      name: link.name,
      mark: markOfTap(names, link),
      networkName,
      isConnected: link.master === names.bridge(networkName) && link.isUp,
    }));
}

function surveyNetwork({ names }: Context, { name, state }: Found): NetworkSurvey {
  const mark = { owner: ownerOnNode("network", name), transactionId: "" };
  if (state.kind !== "namespace") {
    const nothing = { bridge: "absent", uplink: "absent", rules: "absent" } as const;
    return { name, mark, tapNames: [], gateways: [], namespace: "altered", ...nothing };
  }
  const { links, bridge } = state;
  return {
    name,
    mark: { ...mark, transactionId: state.mark?.transactionId ?? "" },
    tapNames: links.filter((link) => isOurTap(names, link)).map((link) => link.name),
    gateways: bridge?.addresses ?? [],
    namespace: "whole",
    bridge: bridgeState(state),
    uplink: uplinkState(names.netnsPath(name), links),
    rules: insideRulesState(names, names.netnsPath(name)),
  };
}

function bridgeState({ bridge, mark }: Extract<NetworkState, { kind: "namespace" }>): PartState {
  if (bridge === undefined) return "absent";
  return bridge.kind === "bridge" && bridge.isUp && mark?.state === READY ? "whole" : "altered";
}

export function uplinkState(path: string, links: readonly Link[]): PartState {
  if (!links.some(({ name }) => name === UPLINK_INSIDE)) return "absent";
  return uplinkWorks(links) && hasDefaultRoute(path) ? "whole" : "altered";
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
