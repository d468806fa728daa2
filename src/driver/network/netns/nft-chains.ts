import { closeSync } from "node:fs";
import { errorCode } from "../../../util/errno.ts";
import { netlinkSocketIn } from "./namespace.ts";
import { batch, header, NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES } from "./nft-batch.ts";
import { attribute, type Message, readAnswer, sendMessages } from "./rtnetlink.ts";

/** <linux/netfilter/nf_tables.h>, <linux/netfilter.h> */
const NFPROTO_NETDEV = 5;
const GET_CHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 4;
const DELETE_CHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 5;
const DELETE_TABLE = (NFNL_SUBSYS_NFTABLES << 8) | 2;
const CHAIN = { table: 1, name: 3 } as const;
const TABLE_NAME = 1;
const NLM_F_ACK = 0x4;
/** Only a table without chains. */
const NLM_F_NONREC = 0x100;

/** Whether the table of the netdev family in the namespace at `path` has this chain. */
export async function hasChain(path: string, table: string, chain: string): Promise<boolean> {
  const socket = netlinkSocketIn(path, NETLINK_NETFILTER);
  try {
    const body = bodyOf(table, chain);
    await sendMessages(socket, [{ type: GET_CHAIN, flags: NLM_F_ACK, body }]);
    await readAnswer(socket);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  } finally {
    closeSync(socket);
  }
}

/**
 * Deletes them with their rules, all or none, and the table with its last chain. The kernel takes 15 ms, for which the
 * main thread does not wait.
 */
export async function deleteChains(
  path: string,
  table: string,
  chains: readonly string[],
): Promise<void> {
  const deletions = chains.map((chain) => {
    return { type: DELETE_CHAIN, flags: NLM_F_ACK, body: bodyOf(table, chain) };
  });
  const body = Buffer.concat([
    header(NFPROTO_NETDEV, 0),
    attribute(TABLE_NAME, Buffer.from(`${table}\0`)),
  ]);
  const whole = { type: DELETE_TABLE, flags: NLM_F_ACK | NLM_F_NONREC, body };
  try {
    await change(path, [...deletions, whole]);
  } catch (error) {
    if (errorCode(error) !== "EBUSY") throw error;
    await change(path, deletions);
  }
}

async function change(path: string, messages: readonly Message[]): Promise<void> {
  const socket = netlinkSocketIn(path, NETLINK_NETFILTER);
  try {
    await sendMessages(socket, batch(messages));
    for (const _ of messages) await readAnswer(socket);
  } finally {
    closeSync(socket);
  }
}

function bodyOf(table: string, chain: string): Buffer {
  return Buffer.concat([
    header(NFPROTO_NETDEV, 0),
    attribute(CHAIN.table, Buffer.from(`${table}\0`)),
    attribute(CHAIN.name, Buffer.from(`${chain}\0`)),
  ]);
}
