import { ownerOnNode } from "../../../util/ref.ts";
import type { NetworkInfo, TapInfo } from "../network-survey.ts";
import type { Context } from "./context.ts";
import { namespaceAt } from "./namespace.ts";
import { type NetworkState, readNetwork } from "./network.ts";
import { isOurTap, markOfTap, networkNamesHere } from "./tap.ts";

/** Each one is a process of 3 ms. More of them than cores gain nothing. */
const READS_AT_ONCE_MAX = 4;

export type Found = { readonly name: string; readonly state: NetworkState };

export async function listTaps(context: Context, signal: AbortSignal): Promise<TapInfo[]> {
  signal.throwIfAborted();
  const { ip, names } = context;
  const outside = (await ip.links(undefined, signal))
    .filter((link) => isOurTap(names, link))
    .map((link) => ({ name: link.name, mark: markOfTap(names, link) }));
  const inside = (await readNetworks(context, signal)).flatMap(({ name: networkName, state }) =>
    tapsIn(context, state).map((link) => ({
      name: link.name,
      mark: markOfTap(names, link),
      networkName,
    })),
  );
  return [...outside, ...inside];
}

export async function listNetworks(context: Context, signal: AbortSignal): Promise<NetworkInfo[]> {
  signal.throwIfAborted();
  return (await readNetworks(context, signal)).map(({ name, state }) => {
    const found = state.kind === "namespace" ? state : undefined;
    return {
      name,
      // A half-made tap is ours by its name, and has no transaction yet.
      mark: {
        owner: ownerOnNode("network", name),
        transactionId: found?.mark?.transactionId ?? "",
      },
      tapNames: tapsIn(context, state).map((link) => link.name),
      gateways: found?.bridge?.addresses ?? [],
    };
  });
}

function tapsIn({ names }: Context, state: NetworkState) {
  return state.kind === "namespace" ? state.links.filter((link) => isOurTap(names, link)) : [];
}

/** Our networks on this node, half-made ones too. */
export async function readNetworks(context: Context, signal: AbortSignal): Promise<Found[]> {
  const queue = (await networkNamesHere(context.names)).sort();
  const found: Found[] = [];
  const reader = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const state = await readUnlessGone(context, name, signal);
      if (state.kind !== "nothing" && state.kind !== "foreign") found.push({ name, state });
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE_MAX }, reader));
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function readUnlessGone(
  context: Context,
  name: string,
  signal: AbortSignal,
): Promise<NetworkState> {
  try {
    return await readNetwork(context, name, signal);
  } catch (error) {
    // Removed, or being removed, after its name was read.
    if (namespaceAt(context.names.netnsPath(name)) !== "namespace") return { kind: "nothing" };
    throw error;
  }
}
