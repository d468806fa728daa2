import { newTogether } from "../../../util/together.ts";
import type { Maker } from "../../mark.ts";
import type { Context } from "./context.ts";
import { forgetGuests } from "./forget-guests.ts";
import type { LinkChange } from "./link-changes.ts";
import type { Link } from "./links.ts";
import { readNetwork, removeNetwork } from "./network.ts";
import { isOurTap, isTapOf, removeTap, whereIs } from "./tap.ts";

interface Leaving {
  readonly tapName: string;
  readonly maker: Maker;
}

export type Detach = (networkName: string, leaving: Leaving, signal: AbortSignal) => Promise<void>;

/**
 * Returns a function that removes a tap wherever it is, and its network with the last tap. The caller holds the
 * tap.
 *
 * Taps of one network that are removed at the same time go together: the kernel waits 15 ms for each device
 * that goes, and as long for many devices of one group. A removal that has begun ignores its signal, because it
 * is shared with others.
 */
export function newDetach(context: Context): Detach {
  const together = newTogether<Leaving & { readonly networkName: string }>(
    context.mutex,
    async (_key, leaving) => {
      await detachAll(context, leaving[0]!.networkName, leaving);
    },
  );
  return async (networkName, leaving, signal) => {
    for (const place of await whereIs(context, leaving.tapName)) {
      if (place === networkName) continue;
      await removeTap(context, leaving.tapName, place, leaving.maker, signal);
    }
    await together(`network/${networkName}`, { ...leaving, networkName });
  };
}

/** The caller holds the taps and the network. */
async function detachAll(
  context: Context,
  networkName: string,
  leaving: readonly Leaving[],
): Promise<void> {
  const { ip, names } = context;
  // No caller's signal, because the work is shared.
  const { signal } = new AbortController();
  const network = await readNetwork(context, networkName, signal);
  if (network.kind === "namespace") {
    const taps = network.links.filter((link) => isOurTap(names, link));
    const gone = taps.filter((link) =>
      leaving.some(({ tapName, maker }) => link.name === tapName && isTapOf(names, link, maker)),
    );
    if (taps.length > gone.length) {
      const changes = removals(
        gone.map(({ name }) => name),
        names.leavingGroup,
      );
      await ip.change(names.netnsName(networkName), changes, signal);
      await forgetGuests(context, networkName, withoutTap(leaving, taps, gone));
      return;
    }
  }
  await removeNetwork(context, networkName, network, signal);
}

/** The names that no tap bears any more, also if an attempt that died has removed it. */
function withoutTap(
  leaving: readonly Leaving[],
  before: readonly Link[],
  gone: readonly Link[],
): string[] {
  const stay = before.filter((link) => !gone.includes(link)).map(({ name }) => name);
  return leaving.map(({ tapName }) => tapName).filter((tapName) => !stay.includes(tapName));
}

/** Several taps are put into a group of their own, which is then removed at once. */
function removals(tapNames: readonly string[], group: number): LinkChange[] {
  if (tapNames.length < 2) return tapNames.map((name) => ({ kind: "delete", name }));
  return [
    ...tapNames.map((name) => ({ kind: "set", name, group }) as const),
    { kind: "delete_group", group },
  ];
}
