import { closeSync, existsSync, openSync } from "node:fs";
import { NETNS_FOLDER } from "./namespace.ts";
import { attribute, request, u32 } from "./rtnetlink.ts";
import { makePersistentTap } from "./tun.ts";

/** <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if.h> */
const RTM_DELLINK = 17;
const RTM_SETLINK = 19;
const IFLA = { name: 3, mtu: 4, master: 10, alias: 20, afSpec: 26, group: 27, netns: 28 } as const;
const AF_INET6 = 10;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_MODE_NONE = 1;
const IFF_UP = 1;

/** One change of the node, made whole or not at all. */
export type LinkChange =
  /**
   * Makes a persistent tap in the node's own namespace, with the header that virtio needs, for root and that
   * group.
   */
  | { readonly kind: "make_tap"; readonly name: string; readonly tunGroup: number }
  | SetLink
  | { readonly kind: "delete"; readonly name: string }
  /** All links of that group in the namespace. */
  | { readonly kind: "delete_group"; readonly group: number };

export interface SetLink {
  readonly kind: "set";
  readonly name: string;
  readonly group?: number;
  readonly alias?: string;
  /** The name of the namespace that the link moves to, and the index there of its new bridge. */
  readonly netns?: string;
  readonly masterIndex?: number;
  readonly mtu?: number;
  /** Sets the link up, without an IPv6 address of its own. */
  readonly isUp?: true;
  /** Keeps the link from getting an IPv6 address of its own when somebody sets it up. */
  readonly isWithoutIpv6?: true;
}

/** Changes a link of a named namespace; if undefined, of the node's own. */
export type ChangeLink = (netns: string | undefined, change: LinkChange) => Promise<void>;

/** Uses netlink: a process for this would take 3 ms, and ten times that on a busy node. */
export const changeLink: ChangeLink = async (netns, change) => {
  const path = netns === undefined ? undefined : pathOf(netns);
  try {
    switch (change.kind) {
      case "make_tap":
        return await makePersistentTap(change.name, change.tunGroup);
      case "set":
        return await setLink(path, change);
      case "delete":
        return await request(path, RTM_DELLINK, linkBody(false, nameOf(change.name)));
      case "delete_group":
        return await request(path, RTM_DELLINK, linkBody(false, groupOf(change.group)));
    }
  } catch (cause) {
    const subject = "name" in change ? change.name : `of group ${change.group}`;
    throw new Error(`${change.kind} link ${subject} in ${netns ?? "the node"}`, { cause });
  }
};

/** One message: the kernel first moves the link, and then makes all other changes there. */
async function setLink(path: string | undefined, change: SetLink): Promise<void> {
  const { name, group, alias, netns, masterIndex, mtu, isUp, isWithoutIpv6 = isUp } = change;
  const target = netns === undefined ? undefined : openSync(pathOf(netns), "r");
  try {
    const attributes = [
      nameOf(name),
      ...(target === undefined ? [] : [attribute(IFLA.netns, u32(target))]),
      ...(mtu === undefined ? [] : [attribute(IFLA.mtu, u32(mtu))]),
      ...(masterIndex === undefined ? [] : [attribute(IFLA.master, u32(masterIndex))]),
      ...(group === undefined ? [] : [groupOf(group)]),
      ...(alias === undefined ? [] : [attribute(IFLA.alias, Buffer.from(`${alias}\0`))]),
      ...(isWithoutIpv6 === true && hasIpv6() ? [withoutIpv6Address()] : []),
    ];
    await request(path, RTM_SETLINK, linkBody(isUp === true, ...attributes));
  } finally {
    if (target !== undefined) closeSync(target);
  }
}

/**
 * struct ifinfomsg: family and type, index, flags, mask of the flags. Index 0 means that the name selects the
 * link.
 */
function linkBody(isUp: boolean, ...attributes: readonly Buffer[]): Buffer {
  const flags = isUp ? IFF_UP : 0;
  return Buffer.concat([u32(0, 0, flags, flags), ...attributes]);
}

function nameOf(name: string): Buffer {
  return attribute(IFLA.name, Buffer.from(`${name}\0`));
}

function groupOf(group: number): Buffer {
  return attribute(IFLA.group, u32(group));
}

function withoutIpv6Address(): Buffer {
  const mode = attribute(IFLA_INET6_ADDR_GEN_MODE, Buffer.from([ADDR_GEN_MODE_NONE]));
  return attribute(IFLA.afSpec, attribute(AF_INET6, mode));
}

function hasIpv6(): boolean {
  return existsSync("/proc/sys/net/ipv6");
}

function pathOf(netns: string): string {
  return `${NETNS_FOLDER}/${netns}`;
}
