import { closeSync } from "node:fs";
import { netlinkSocketIn } from "./namespace.ts";
import { batch, header, NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES } from "./nft-batch.ts";
import { attribute, type Parcel, readAnswer, sendMessages } from "./rtnetlink.ts";

/** <linux/netlink.h>, <linux/netfilter/nf_tables.h>, <linux/netfilter.h> */
const NFPROTO_BRIDGE = 7;
const NEW_ELEMENTS = (NFNL_SUBSYS_NFTABLES << 8) | 12;
const GET_ELEMENTS = (NFNL_SUBSYS_NFTABLES << 8) | 13;
const DELETE_ELEMENTS = (NFNL_SUBSYS_NFTABLES << 8) | 14;
const NLM_F_ACK = 0x4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NESTED = 0x8000;
const LIST = { table: 1, set: 2, elements: 3 } as const;
const LIST_ELEMENT = 1;
const ELEMENT = { key: 1, userData: 6 } as const;
const DATA_VALUE = 1;
/** libnftnl's first sort of user data, with which nft shows the comment of an element. */
const COMMENT = 0;
const GENERATION_HEADER_BYTES = 4;

export interface ElementChange {
  /** `create` fails with `EEXIST` if the element exists, and `delete` with `ENOENT` if it does not. */
  readonly verb: "create" | "add" | "delete";
  readonly set: string;
  /** Each member of a concatenation fills a whole number of words. */
  readonly key: Buffer;
  readonly comment?: string;
}

/**
 * Changes elements of a table of the bridge family, all or none, in the namespace at `path`. The kernel takes
 * 15 ms if it removes any, and the main thread does not wait for that, as it would with libnftables.
 *
 * @throws Error with a `code`, such as `ENOENT`.
 */
export async function changeElements(
  path: string,
  table: string,
  changes: readonly ElementChange[],
): Promise<void> {
  const socket = netlinkSocketIn(path, NETLINK_NETFILTER);
  try {
    const messages = changes.map((change) => ({
      type: change.verb === "delete" ? DELETE_ELEMENTS : NEW_ELEMENTS,
      flags: NLM_F_ACK | flagsOf(change.verb),
      body: bodyOf(table, change),
    }));
    await sendMessages(socket, batch(messages));
    // The kernel answers each change when all of them are done, or one has failed.
    for (const _ of changes) await readAnswer(socket);
  } finally {
    closeSync(socket);
  }
}

/**
 * The comment of an element; undefined if it has none. Costs the same however many elements there are, whereas
 * libnftables reads all.
 *
 * @throws Error with the `code` `ENOENT` if there is no such element.
 */
export async function elementComment(
  path: string,
  table: string,
  set: string,
  key: Buffer,
): Promise<string | undefined> {
  const socket = netlinkSocketIn(path, NETLINK_NETFILTER);
  try {
    const body = bodyOf(table, { set, key });
    await sendMessages(socket, [{ type: GET_ELEMENTS, flags: NLM_F_ACK, body }]);
    const { parcels } = await readAnswer(socket);
    return parcels[0] === undefined ? undefined : commentIn(parcels[0]);
  } finally {
    closeSync(socket);
  }
}

function flagsOf(verb: ElementChange["verb"]): number {
  if (verb === "delete") return 0;
  return verb === "create" ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE;
}

function bodyOf(
  table: string,
  { set, key, comment }: Pick<ElementChange, "set" | "key" | "comment">,
): Buffer {
  const data = attribute(ELEMENT.key | NESTED, attribute(DATA_VALUE, key));
  const notes = comment === undefined ? [] : [attribute(ELEMENT.userData, userData(comment))];
  const element = attribute(LIST_ELEMENT | NESTED, Buffer.concat([data, ...notes]));
  return Buffer.concat([
    header(NFPROTO_BRIDGE, 0),
    attribute(LIST.table, Buffer.from(`${table}\0`)),
    attribute(LIST.set, Buffer.from(`${set}\0`)),
    attribute(LIST.elements | NESTED, element),
  ]);
}

function userData(comment: string): Buffer {
  const text = Buffer.from(`${comment}\0`);
  return Buffer.concat([Buffer.from([COMMENT, text.length]), text]);
}

function commentIn(message: Parcel): string | undefined {
  const list = message.attributes(GENERATION_HEADER_BYTES).get(LIST.elements);
  const element = list?.attributes().get(LIST_ELEMENT);
  const data = element?.attributes().get(ELEMENT.userData);
  if (data === undefined || data.bytes.length < 2 || data.u8(0) !== COMMENT) return undefined;
  return data.part(2, 2 + data.u8(1)).text;
}
