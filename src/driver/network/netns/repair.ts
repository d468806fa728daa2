import type { Maker } from "../../mark.ts";
import type { NetworkSpec } from "../network-driver.ts";
import { networkNotHere, networkNotOurs } from "../network-errors.ts";
import type { GroupsOfNetwork } from "../security-groups.ts";
import type { Context } from "./context.ts";
import { removeExternal } from "./external.ts";
import { restoreFilters } from "./filters.ts";
import { forgetGuests } from "./forget-guests.ts";
import { restoreGroups } from "./group-survey.ts";
import { applyGroups } from "./groups.ts";
import { ipv6Off } from "./ip.ts";
import { UPLINK_INSIDE } from "./names.ts";
import { deviceIndex } from "./namespace.ts";
import { ensureNetwork, readNetwork, removeNetwork } from "./network.ts";
import {
  ensureNodeRules,
  ensureNodeRulesAbsent,
  restoreInside,
  restoreNodeRules,
} from "./rules.ts";
import { settleGuard } from "./segment-senders.ts";
import { refreshServices, removeServices, removeStrayEntries } from "./services/services.ts";
import { strayUplinks, uplinkState } from "./survey.ts";
import { isOurTap, isTapOf, whereIs } from "./tap.ts";

/** Checks every part, also of a network that is marked as ready. The caller holds the network. */
export async function makeWhole(
  context: Context,
  network: NetworkSpec,
  signal: AbortSignal,
  groups?: GroupsOfNetwork,
): Promise<void> {
  const { ip, names, mutex } = context;
  const path = names.netnsPath(network.name);
  const netns = names.netnsName(network.name);
  let state = await readNetwork(context, network.name, signal);
  if (state.kind === "nothing") throw networkNotHere(network.name);
  if (state.kind === "foreign") throw networkNotOurs(network.name);
  if (state.kind === "namespace" && uplinkState(path, state.links) === "altered") {
    await ip.batch(netns, [`link delete dev ${UPLINK_INSIDE}`], signal);
    state = await readNetwork(context, network.name, signal);
  }
  const transactionId = state.kind === "namespace" ? (state.mark?.transactionId ?? "") : "";
  await ensureNetwork(context, network, state, transactionId, signal);
  restoreInside(names, path, network.isNatOff === true);
  await mutex.run("node", async () => restoreNodeRules(context));

  const made = await readNetwork(context, network.name, signal);
  if (made.kind !== "namespace") return;
  if (network.vlanId === undefined) {
    await removeExternal(context, network.name, made.links, signal);
  }
  const taps = made.links.filter((link) => isOurTap(names, link));
  const tapNames = taps.map(({ name }) => name);
  restoreGroups(names, path, tapNames);
  if (groups !== undefined) applyGroups(context, network.name, groups, true);
  await restoreFilters(context, network.name, tapNames);
  await refreshServices(context, network);
  await context.metadata.listen(network.name);
  await removeStrayEntries(context, network.name, tapNames);
  const bridge = names.bridge(network.name);
  const index = deviceIndex(path, bridge);
  const loose = taps.filter((link) => link.master !== bridge || !link.isUp);
  const lines = loose.map(({ name }) => `link set dev ${name} master if${index}${ipv6Off()} up`);
  await ip.batch(netns, lines, signal);
}

/** Moves a tap of the maker from any network but `stayIn` into the node's own namespace. The caller holds the tap. */
export async function takeTapOut(
  context: Context,
  tapName: string,
  stayIn: string | undefined,
  maker: Maker,
  signal: AbortSignal,
): Promise<void> {
  const { ip, names } = context;
  for (const place of await whereIs(context, tapName)) {
    if (place === undefined || place === stayIn) continue;
    const netns = names.netnsName(place);
    const link = await ip.link(netns, tapName, signal);
    if (link === undefined || !isTapOf(names, link, maker)) continue;
    // Names the process, because the node's own namespace has no name.
    await ip.batch(netns, [`link set dev ${tapName} nomaster netns ${process.pid}`], signal);
    await context.mutex.run(`network/${place}`, () => forgetGuests(context, place, [tapName]));
  }
}

/** The caller holds the network, so no tap can enter it in the meantime. */
export async function sweep(
  context: Context,
  networkName: string,
  signal: AbortSignal,
): Promise<void> {
  const { ip, names, mutex } = context;
  const state = await readNetwork(context, networkName, signal);
  const links = state.kind === "namespace" ? state.links : [];
  if (!links.some((link) => isOurTap(names, link))) {
    await removeNetwork(context, networkName, state, signal);
    // Last: the end of a process that kept a namespace without a name lets the kernel remove what is in it.
    if (state.kind !== "foreign") await removeServices(context, networkName, true);
    return;
  }
  await mutex.run("node", async () => {
    const strays = strayUplinks(context, await ip.links(undefined, signal), [
      { name: networkName, state },
    ]).filter((stray) => stray.networkName === networkName);
    await ip.batch(
      undefined,
      strays.map(({ device }) => `link delete dev ${device}`),
      signal,
    );
  });
}

export async function settleNodeRules(context: Context, signal: AbortSignal): Promise<void> {
  await context.mutex.run("node", async () => {
    if (await hasUplinks(context, signal)) restoreNodeRules(context);
    else ensureNodeRulesAbsent(context.names);
  });
  await settleGuard(context, signal);
}

/** Without networks there are no rules to keep, and nft is not asked. */
export async function keepNodeRules(context: Context, signal: AbortSignal): Promise<boolean> {
  const isLost = context.guard.isLost;
  if (isLost) await settleGuard(context, signal);
  const isApplied = await context.mutex.run(
    "node",
    async () => (await hasUplinks(context, signal)) && ensureNodeRules(context),
  );
  return isApplied || isLost;
}

async function hasUplinks({ ip, names }: Context, signal: AbortSignal): Promise<boolean> {
  const links = await ip.links(undefined, signal);
  return links.some(({ kind, group }) => kind === "veth" && group === names.group);
}
