import { readdir } from "node:fs/promises";
import { ifThere } from "../../../util/errno.ts";
import { isMadeBy, type Maker, type Mark } from "../../mark.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import { notOurs, tapOfAnother } from "../network-errors.ts";
import type { Context } from "./context.ts";
import { forgetGuests } from "./forget-guests.ts";
import type { Link } from "./links.ts";
import type { Names } from "./names.ts";
import { deviceIndex, NETNS_FOLDER, namespaceAt } from "./namespace.ts";

/** True for a tap that this instance made, even if its maker died before it set the mark. */
export function isOurTap({ prefix, group }: Names, link: Link): boolean {
  if (link.kind !== "tun") return false;
  if (link.alias === undefined) return link.tunGroup === group;
  return parseLinkMark(prefix, link.alias) !== undefined;
}

/** The mark of a tap of ours. A tap whose maker died before it set the mark belongs to nobody. */
export function markOfTap({ prefix }: Names, link: Link): Mark {
  const { owner, transactionId } = parseLinkMark(prefix, link.alias) ?? {
    owner: "",
    transactionId: "",
  };
  return { owner, transactionId };
}

/** True for a tap of ours that the maker may remove: its own, or one that belongs to nobody. */
export function isTapOf(names: Names, link: Link, maker: Maker): boolean {
  if (!isOurTap(names, link)) return false;
  const mark = markOfTap(names, link);
  return mark.owner === "" || isMadeBy(mark, maker);
}

/** The names of networks that may be on this node. Only their content shows whether they are ours. */
export async function networkNamesHere({ prefix }: Names): Promise<string[]> {
  // Making the first namespace makes this folder.
  const files = (await ifThere(readdir(NETNS_FOLDER))) ?? [];
  return files.filter((f) => f.startsWith(prefix)).map((f) => f.slice(prefix.length));
}

/** A network, or if undefined the node's own namespace. */
type Place = string | undefined;

/** The places that have a device of that name. */
export async function whereIs({ names }: Context, deviceName: string): Promise<readonly Place[]> {
  const inNetworks = (await networkNamesHere(names)).filter((networkName) =>
    isInside(names.netnsPath(networkName), deviceName),
  );
  const isOutside = deviceIndex(undefined, deviceName) !== undefined;
  return isOutside ? [undefined, ...inNetworks] : inNetworks;
}

function isInside(path: string, deviceName: string): boolean {
  if (namespaceAt(path) !== "namespace") return false;
  try {
    return deviceIndex(path, deviceName) !== undefined;
  } catch (error) {
    // Another removal may have removed the network in between.
    if (namespaceAt(path) !== "namespace") return false;
    throw error;
  }
}

/**
 * Makes a persistent tap that only root may open, with the header that virtio needs.
 *
 * @throws N0Error `failed_precondition` if the name belongs to a device that is not ours, or to a tap of
 * another owner.
 */
export async function makeTap(
  context: Context,
  tapName: string,
  mark: Mark,
  signal: AbortSignal,
): Promise<void> {
  const { ip, names } = context;
  const alias = formatLinkMark(names.prefix, mark);
  const old: Place[] = [];
  for (const networkName of await whereIs(context, tapName)) {
    const link = await ip.link(netnsOf(names, networkName), tapName, signal);
    if (link === undefined) continue;
    if (isTapOf(names, link, { owner: mark.owner })) old.push(networkName);
    else if (isOurTap(names, link)) throw tapOfAnother(tapName, markOfTap(names, link));
    else if (networkName === undefined) throw notOurs(tapName);
  }
  for (const networkName of old) await deleteTap(context, tapName, networkName, signal);
  const { group } = names;
  await ip.change(
    undefined,
    [
      { kind: "make_tap", name: tapName, tunGroup: group },
      { kind: "set", name: tapName, group, alias, isWithoutIpv6: true },
    ],
    signal,
  );
}

/** Removes the tap there if it is the maker's, or belongs to nobody. */
export async function removeTap(
  context: Context,
  tapName: string,
  networkName: Place,
  maker: Maker,
  signal: AbortSignal,
): Promise<void> {
  const { ip, names } = context;
  const link = await ip.link(netnsOf(names, networkName), tapName, signal);
  if (link === undefined || !isTapOf(names, link, maker)) return;
  await deleteTap(context, tapName, networkName, signal);
}

/** With its filter and its entry, which go last: a tap without one may say anything. The caller does not hold the network. */
async function deleteTap(
  context: Context,
  tapName: string,
  networkName: Place,
  signal: AbortSignal,
): Promise<void> {
  const netns = netnsOf(context.names, networkName);
  await context.ip.change(netns, [{ kind: "delete", name: tapName }], signal);
  if (networkName === undefined) return;
  await context.mutex.run(`network/${networkName}`, () =>
    forgetGuests(context, networkName, [tapName]),
  );
}

function netnsOf(names: Names, networkName: Place): string | undefined {
  return networkName === undefined ? undefined : names.netnsName(networkName);
}
