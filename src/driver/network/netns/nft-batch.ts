import type { Message } from "./rtnetlink.ts";

/** <linux/netlink.h>, <linux/netfilter/nfnetlink.h> */
export const NETLINK_NETFILTER = 12;
export const NFNL_SUBSYS_NFTABLES = 10;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;

/** Changes that the kernel makes all or none. */
export function batch(changes: readonly Message[]): Message[] {
  return [
    { type: BATCH_BEGIN, flags: 0, body: header(0, NFNL_SUBSYS_NFTABLES) },
    ...changes,
    { type: BATCH_END, flags: 0, body: header(0, NFNL_SUBSYS_NFTABLES) },
  ];
}

/** struct nfgenmsg: the family, a version, and a number in the byte order of networks. */
export function header(family: number, resource: number): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 0xff]);
}
