import { closeSync } from "node:fs";
import { isAbsent } from "../../../util/errno.ts";
import { netlinkSocketIn } from "./namespace.ts";
import { batch, header, NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES } from "./nft-batch.ts";
import { attribute, NLM_F_DUMP, type Parcel, readAnswer, sendMessages } from "./rtnetlink.ts";

/** <linux/netlink.h>, <linux/netfilter/nf_tables.h>, <linux/netfilter.h> */
const NFPROTO = { inet: 1, bridge: 7 } as const;
const NEW_ELEMENTS = (NFNL_SUBSYS_NFTABLES << 8) | 12;
const GET_ELEMENTS = (NFNL_SUBSYS_NFTABLES << 8) | 13;
const DELETE_ELEMENTS = (NFNL_SUBSYS_NFTABLES << 8) | 14;
const NLM_F_ACK = 0x4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NESTED = 0x8000;
const LIST = { table: 1, set: 2, elements: 3 } as const;
const LIST_ELEMENT = 1;
const ELEMENT = { key: 1, data: 2, userData: 6 } as const;
const DATA_VALUE = 1;
const DATA_VERDICT = 2;
const VERDICT = { code: 1, chain: 2 } as const;
const NFT_GOTO = -4;
/** libnftnl's first sort of user data, with which nft shows the comment of an element. */
const COMMENT = 0;
const GENERATION_HEADER_BYTES = 4;

export interface ElementTable {
  readonly family: keyof typeof NFPROTO;
  readonly table: string;
}

interface ElementPlace {
  readonly set: string;
  /** Each member of a concatenation fills a whole number of words. */
  readonly key: Buffer;
}

export interface ElementChange extends ElementPlace {
  /** `create` fails with `EEXIST` if the element exists, and `delete` with `ENOENT` if it does not. */
  readonly verb: "create" | "add" | "delete";
  readonly comment?: string;
  /** Of a map: the value of the key, or the chain at which its verdict goes on. */
  readonly data?: { readonly value: Buffer } | { readonly gotoChain: string };
}

/** Removes all elements of a set. */
interface Flush {
  readonly verb: "flush";
  readonly set: string;
}

export type TableChange = (ElementChange | Flush) & { readonly of: ElementTable };

/**
 * Changes elements of tables, all or none, in the namespace at `path`. The kernel takes 15 ms if it removes any,
 * and the main thread does not wait for that, as it would with libnftables.
 *
 * @throws Error with a `code`, such as `ENOENT`.
 */
export async function changeElements(path: string, changes: readonly TableChange[]): Promise<void> {
  const socket = netlinkSocketIn(path, NETLINK_NETFILTER);
  try {
    const messages = changes.map((change) => ({
      type: isRemoval(change.verb) ? DELETE_ELEMENTS : NEW_ELEMENTS,
      flags: NLM_F_ACK | flagsOf(change.verb),
      body: bodyOf(change.of, change),
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
  table: ElementTable,
  set: string,
  key: Buffer,
): Promise<string | undefined> {
  const socket = netlinkSocketIn(path, NETLINK_NETFILTER);
  try {
    const body = bodyOf(table, { verb: "add", set, key });
    await sendMessages(socket, [{ type: GET_ELEMENTS, flags: NLM_F_ACK, body }]);
    const { parcels } = await readAnswer(socket);
    return parcels[0] === undefined ? undefined : commentIn(parcels[0]);
  } finally {
    closeSync(socket);
  }
}

/** Whether there is such an element. False also without the set. */
export async function hasElement(
  path: string,
  table: ElementTable,
  set: string,
  key: Buffer,
): Promise<boolean> {
  try {
    await elementComment(path, table, set, key);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/**
 * The values of a map from names to marks, by their keys. Undefined if somebody has changed it while it was read.
 *
 * @throws Error with the `code` `ENOENT` if there is no such map.
 */
export async function marksIn(
  path: string,
  table: ElementTable,
  set: string,
): Promise<ReadonlyMap<string, number> | undefined> {
  const elements = await elementsOf(path, table, set);
  if (elements === undefined) return undefined;
  return new Map(
    elements.flatMap(({ key, data }) => (data === undefined ? [] : [[key.text, data.u32()]])),
  );
}

/** The keys of a set, as bytes. Undefined and throws as `marksIn`. */
export async function keysIn(
  path: string,
  table: ElementTable,
  set: string,
): Promise<readonly Buffer[] | undefined> {
  return (await elementsOf(path, table, set))?.map(({ key }) => key.bytes);
}

async function elementsOf(path: string, table: ElementTable, set: string) {
  const socket = netlinkSocketIn(path, NETLINK_NETFILTER);
  try {
    const body = bodyOf(table, { verb: "flush", set });
    await sendMessages(socket, [{ type: GET_ELEMENTS, flags: NLM_F_DUMP, body }]);
    const { parcels, isWhole } = await readAnswer(socket);
    return isWhole ? parcels.flatMap(elementsIn) : undefined;
  } finally {
    closeSync(socket);
  }
}

function elementsIn(
  message: Parcel,
): { readonly key: Parcel; readonly data: Parcel | undefined }[] {
  const elements = message.attributes(GENERATION_HEADER_BYTES).get(LIST.elements)?.list() ?? [];
  return elements.flatMap(([, element]) => {
    const parts = element.attributes();
    const [key, data] = [ELEMENT.key, ELEMENT.data].map((part) =>
      parts.get(part)?.attributes().get(DATA_VALUE),
    );
    return key === undefined ? [] : [{ key, data }];
  });
}

function isRemoval(verb: TableChange["verb"]): boolean {
  return verb === "delete" || verb === "flush";
}

function flagsOf(verb: TableChange["verb"]): number {
  if (isRemoval(verb)) return 0;
  return verb === "create" ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE;
}

/** Without an element, it means all of them. */
function bodyOf({ family, table }: ElementTable, change: ElementChange | Flush): Buffer {
  return Buffer.concat([
    header(NFPROTO[family], 0),
    attribute(LIST.table, Buffer.from(`${table}\0`)),
    attribute(LIST.set, Buffer.from(`${change.set}\0`)),
    ...(change.verb === "flush" ? [] : [elementOf(change)]),
  ]);
}

function elementOf({ key, comment, data }: ElementChange): Buffer {
  const parts = [attribute(ELEMENT.key | NESTED, attribute(DATA_VALUE, key))];
  if (data !== undefined) parts.push(attribute(ELEMENT.data | NESTED, dataOf(data)));
  if (comment !== undefined) parts.push(attribute(ELEMENT.userData, userData(comment)));
  const element = attribute(LIST_ELEMENT | NESTED, Buffer.concat(parts));
  return attribute(LIST.elements | NESTED, element);
}

function dataOf(data: NonNullable<ElementChange["data"]>): Buffer {
  if ("value" in data) return attribute(DATA_VALUE, data.value);
  const code = Buffer.alloc(4);
  code.writeInt32BE(NFT_GOTO);
  const chain = attribute(VERDICT.chain, Buffer.from(`${data.gotoChain}\0`));
  return attribute(DATA_VERDICT | NESTED, Buffer.concat([attribute(VERDICT.code, code), chain]));
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
