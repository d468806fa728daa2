import { canonicalAddress } from "../../../util/cidr.ts";
import type { PartState } from "../network-survey.ts";
import type { Context } from "./context.ts";
import { type Found, readNetworks } from "./inventory.ts";
import { SEGMENT_DEVICE } from "./names.ts";
import { readForwarding } from "./neighbours.ts";
import { type NetworkState, readNetwork } from "./network.ts";
import { isSame } from "./segment-guard.ts";

/** Who may send packets of a segment, as its own entries say. */
interface Senders {
  readonly vni: number;
  readonly nodes: ReadonlySet<string>;
}

/** Lets the packets of each segment here pass from its nodes, and keeps nothing of segments that are not here. */
export async function settleGuard(context: Context, signal: AbortSignal): Promise<void> {
  const { guard } = context;
  const changes = guard.changes;
  guard.restore();
  const here = new Set<number>();
  for (const { name } of await readNetworks(context, signal)) {
    await holding(context, name, signal, async (senders) => {
      if (senders === undefined) return;
      here.add(senders.vni);
      guard.set(senders.vni, senders.nodes);
    });
  }
  for (const vni of guard.read().passing.keys()) {
    // It has come since the networks were listed.
    if (here.has(vni) || guard.hasChangedSince(vni, changes)) continue;
    guard.set(vni, []);
  }
}

/** @param changes Those of the guard when the networks were read. */
export async function guardState(
  context: Context,
  found: readonly Found[],
  changes: number,
  signal: AbortSignal,
): Promise<PartState> {
  const { guard } = context;
  const { state, passing } = guard.read();
  const here = new Set<number>();
  for (const { name, state: network } of found) {
    const senders = await sendersTo(context, name, network);
    if (senders === undefined) continue;
    here.add(senders.vni);
    if (isSame(senders.nodes, passing.get(senders.vni) ?? new Set())) continue;
    // Somebody may just change it.
    if (!(await isGuarded(context, name, signal))) return "altered";
  }
  const strays = [...passing.keys()].filter((vni) => !here.has(vni));
  if (strays.some((vni) => !guard.hasChangedSince(vni, changes))) return "altered";
  return state;
}

async function isGuarded(context: Context, name: string, signal: AbortSignal): Promise<boolean> {
  return await holding(context, name, signal, async (senders) => {
    if (senders === undefined) return true;
    const { passing } = context.guard.read();
    return isSame(senders.nodes, passing.get(senders.vni) ?? new Set());
  });
}

async function holding<T>(
  context: Context,
  name: string,
  signal: AbortSignal,
  work: (senders: Senders | undefined) => Promise<T>,
): Promise<T> {
  return await context.mutex.run(`network/${name}`, async () =>
    work(await sendersTo(context, name, await readNetwork(context, name, signal))),
  );
}

async function sendersTo(
  { names }: Context,
  networkName: string,
  state: NetworkState,
): Promise<Senders | undefined> {
  if (state.kind !== "namespace") return undefined;
  const device = state.links.find(({ name }) => name === SEGMENT_DEVICE);
  if (device?.vxlan === undefined) return undefined;
  const { remotes } = await readForwarding(names.netnsPath(networkName), device.index);
  const nodes = new Set([...remotes.values()].map(canonicalAddress));
  return { vni: device.vxlan.vni, nodes };
}
