import { hash } from "node:crypto";
import { invalid } from "../../../util/errors.ts";

const CHECK_LENGTH = 8;

/** The token of the page after `last`. `list` names the list: its kind and its project. */
export function pageToken(list: string, last: string): string {
  return checkOf(list, last) + Buffer.from(last).toString("base64url");
}

/**
 * Reads a token that `pageToken` made for the same list. One of another list, or of another project's, is
 * refused. A forged one only begins somewhere else in the same list.
 *
 * @throws N0Error `invalid_argument`.
 */
export function lastOf(list: string, token: string): string {
  const last = Buffer.from(token.slice(CHECK_LENGTH), "base64url").toString();
  if (last !== "" && pageToken(list, last) === token) return last;
  throw invalid("page_token", "is not from an answer of this list: start without it");
}

function checkOf(list: string, last: string): string {
  return hash("sha256", JSON.stringify([list, last]), "base64url").slice(0, CHECK_LENGTH);
}
