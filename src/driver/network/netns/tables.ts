import { N0Error } from "../../../util/errors.ts";
import { formatLinkMark, parseLinkMark } from "../link-mark.ts";
import type { PartState } from "../network-survey.ts";
import type { Names } from "./names.ts";
import { inScratchNamespace } from "./namespace.ts";
import { commentIn, nft, type TableFamily, tableComment } from "./nft.ts";

/** Only the rules of the node depend on the networks that it is in. */
const LISTINGS_MAX = 16;

export interface Table {
  readonly family: TableFamily;
  readonly name: string;
  /** The comment of the table. */
  readonly mark: string;
  /** In nft's own language. */
  readonly text: string;
}

/** `version` tells the tables of one owner apart: a table with another comment is replaced. */
export function tableOf(
  { prefix }: Names,
  family: TableFamily,
  name: string,
  owner: string,
  version: string,
  body: string,
): Table {
  const mark = formatLinkMark(prefix, { owner, transactionId: version });
  const text = `table ${family} ${name} {\n  comment "${mark}"${body}\n}\n`;
  return { family, name, mark, text };
}

/** Whether the table is as we made it, in the namespace of the thread. */
export function tableState(names: Names, table: Table): PartState {
  const { family, name } = table;
  const exists = tableComment(family, name) !== undefined;
  return stateOfListing(names, table, exists ? nft(`list table ${family} ${name}`) : undefined);
}

/** The same for nft's listing of the table; undefined if the table does not exist. */
export function stateOfListing(
  { prefix }: Names,
  table: Table,
  listing: string | undefined,
): PartState {
  if (listing === undefined || parseLinkMark(prefix, commentIn(listing)) === undefined) {
    return "absent";
  }
  return listing === listingOf(table) ? "whole" : "altered";
}

const listings = new Map<string, string>();

/**
 * nft's listing of the table, which differs from its source. It is made once, in a namespace that nobody sees.
 */
export function listingOf({ text, family, name }: Table): string {
  const known = listings.get(text);
  if (known !== undefined) return known;
  const listing = inScratchNamespace(() => {
    nft(text);
    return nft(`list table ${family} ${name}`);
  });
  if (listings.size >= LISTINGS_MAX) listings.clear();
  listings.set(text, listing);
  return listing;
}

interface ApplyOptions {
  /** Replaces the table also if it is there. */
  readonly isForced?: boolean;
  /** Commands that fill its sets again, in the same transaction of nft. */
  readonly elements?: () => string;
}

/**
 * Applies the table in the namespace of the thread, unless it is there.
 *
 * @returns whether the table was missing or different.
 * @throws N0Error `failed_precondition` if a table of that name is not ours.
 */
export function applyTable(
  names: Names,
  { family, name, mark, text }: Table,
  { isForced = false, elements = () => "" }: ApplyOptions = {},
): boolean {
  const comment = tableComment(family, name);
  if (comment === mark && !isForced) return false;
  if (comment !== undefined && parseLinkMark(names.prefix, comment) === undefined) {
    throw new N0Error(
      "failed_precondition",
      `the node has an nft table "${name}" that n0stack did not make: rename or remove it`,
    );
  }
  // One transaction of nft, so there is never a moment without rules.
  const replaced = comment === undefined ? "" : `delete table ${family} ${name}\n`;
  nft(`${replaced}${text}${comment === undefined ? "" : elements()}`);
  return true;
}
