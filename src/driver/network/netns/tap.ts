import { readdir } from "node:fs/promises";
import { ifThere } from "../../../util/errno.ts";
import { isMadeBy, type Maker, type Mark } from "../../mark.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import { notOurs, tapOfAnother } from "../network-errors.ts";
import type { Context } from "./context.ts";
import type { Link } from "./links.ts";
import type { Names } from "./names.ts";
import { deviceIndex, NETNS_FOLDER, namespaceAt } from "./namespace.ts";

/** True for a tap that this instance made, also for one whose maker died before it was marked. */
export function isOurTap({ prefix, group }: Names, link: Link): boolean {
  if (link.kind !== "tun") return false;
  if (link.alias === undefined) return link.tunGroup === group;
  return parseLinkMark(prefix, link.alias) !== undefined;
}

/** Of a tap of ours; one whose maker died before it was marked belongs to nobody. */
export function markOfTap({ prefix }: Names, link: Link): Mark {
  const { owner, transactionId } = parseLinkMark(prefix, link.alias) ?? {
    owner: "",
    transactionId: "",
  };
  return { owner, transactionId };
}

/** True for a tap of ours that the maker may take away: its own, or nobody's. */
export function isTapOf(names: Names, link: Link, maker: Maker): boolean {
  if (!isOurTap(names, link)) return false;
  const mark = markOfTap(names, link);
  return mark.owner === "" || isMadeBy(mark, maker);
}

/** The names of the Networks that may be here: whether they are ours is for their content to say. */
export async function networkNamesHere({ prefix }: Names): Promise<string[]> {
  // The first namespace makes the folder.
  const files = (await ifThere(readdir(NETNS_FOLDER))) ?? [];
  return files.filter((f) => f.startsWith(prefix)).map((f) => f.slice(prefix.length));
}

/** Where there is a device of that name; undefined stands for the node's own namespace. */
export async function whereIs(
  { names }: Context,
  deviceName: string,
): Promise<readonly (string | undefined)[]> {
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
    // Another Network's removal may come in between.
    if (namespaceAt(path) !== "namespace") return false;
    throw error;
  }
}

/**
 * A persistent tap that root alone may open, with the header that virtio needs.
 *
 * @throws N0Error `failed_precondition` if the name is taken by a device that is not ours, or a tap of
 *   another owner.
 */
export async function makeTap(
  context: Context,
  tapName: string,
  mark: Mark,
  signal: AbortSignal,
): Promise<void> {
  const { ip, names } = context;
  const alias = formatLinkMark(names.prefix, mark);
  const old: (string | undefined)[] = [];
  for (const networkName of await whereIs(context, tapName)) {
    const netns = netnsOf(names, networkName);
    const link = await ip.link(netns, tapName, signal);
    if (link === undefined) continue;
    if (isTapOf(names, link, { owner: mark.owner })) old.push(netns);
    else if (isOurTap(names, link)) throw tapOfAnother(tapName, markOfTap(names, link));
    else if (networkName === undefined) throw notOurs(tapName);
  }
  for (const netns of old) await ip.change(netns, [{ kind: "delete", name: tapName }], signal);
  const { group } = names;
  await ip.change(
    undefined,
    [
      { kind: "make_tap", name: tapName, tunGroup: group },
      { kind: "set", name: tapName, group, alias, isUp: true },
    ],
    signal,
  );
}

/** Removes the tap from there if it is the maker's, or nobody's. */
export async function removeTap(
  { ip, names }: Context,
  tapName: string,
  networkName: string | undefined,
  maker: Maker,
  signal: AbortSignal,
): Promise<void> {
  const netns = netnsOf(names, networkName);
  const link = await ip.link(netns, tapName, signal);
  if (link === undefined || !isTapOf(names, link, maker)) return;
  await ip.change(netns, [{ kind: "delete", name: tapName }], signal);
}

function netnsOf(names: Names, networkName: string | undefined): string | undefined {
  return networkName === undefined ? undefined : names.netnsName(networkName);
}
