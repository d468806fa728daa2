import type { Objects } from "../../../datastore/collection.ts";
import type { Records } from "../../../datastore/records.ts";
import { defined } from "../../../util/defined.ts";
import { invalid } from "../../../util/errors.ts";

/** The fields of every List request. */
export interface ListRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly namePrefix: string;
  readonly labelSelector: { readonly [key: string]: string };
}

interface Labelled {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
}

/** The number of records that are read at a time while a filter leaves some of them out. */
const BATCH_MIN = 256;
/** More than there can be. */
const UNLIMITED = 2 ** 40;

/**
 * One page of the objects of a scope, in the order of names.
 *
 * @returns the objects and the token of the next page, empty on the last.
 * @throws N0Error `invalid_argument` for a page token that is not ours.
 */
export async function listPage<T extends Labelled>(
  records: Records,
  of: Objects<T>,
  scope: string,
  request: ListRequest,
): Promise<{ readonly objects: T[]; readonly nextPageToken: string }> {
  const { pageSize, namePrefix, labelSelector } = request;
  const wanted = Object.entries(labelSelector);
  const prefix = of.within(scope) + encodeURIComponent(namePrefix);
  const limit = pageSize === 0 ? UNLIMITED : pageSize;
  const objects: T[] = [];
  let after = tokenKey(of.within(scope), request.pageToken);
  for (;;) {
    // One more than requested shows whether there is a next page.
    const missing = limit - objects.length + 1;
    const batch = wanted.length > 0 ? Math.max(missing, BATCH_MIN) : missing;
    const page = { limit: batch, ...defined({ after }) };
    const found = await records.listPrefix(of, prefix, page);
    for (const { value } of found) {
      if (!wanted.every(([key, text]) => value.labels[key] === text)) continue;
      if (objects.length === limit) return { objects, nextPageToken: nextToken(objects) };
      objects.push(value);
    }
    if (found.length < batch) return { objects, nextPageToken: "" };
    after = found.at(-1)!.key;
  }
}

function nextToken(objects: readonly Labelled[]): string {
  return Buffer.from(objects.at(-1)!.name).toString("base64url");
}

function tokenKey(prefix: string, token: string): string | undefined {
  if (token === "") return undefined;
  const name = Buffer.from(token, "base64url").toString();
  if (name === "" || Buffer.from(name).toString("base64url") !== token) {
    throw invalid("page_token", "is not from an answer of this list: start without it");
  }
  return prefix + encodeURIComponent(name);
}
