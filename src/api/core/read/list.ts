import type { Objects } from "../../../datastore/collection.ts";
import type { Records } from "../../../datastore/records.ts";
import { defined } from "../../../util/defined.ts";
import { lastOf, pageToken } from "./page-token.ts";

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
 * @param isVisible By default, all objects are.
 * @returns the objects and the token of the next page, empty on the last.
 * @throws N0Error `invalid_argument` for a page token that is not of this list.
 */
export async function listPage<T extends Labelled>(
  records: Records,
  of: Objects<T>,
  scope: string,
  request: ListRequest,
  isVisible?: (object: T) => boolean,
): Promise<{ readonly objects: T[]; readonly nextPageToken: string }> {
  const { pageSize, namePrefix, labelSelector } = request;
  const wanted = Object.entries(labelSelector);
  const list = of.within(scope);
  const prefix = list + encodeURIComponent(namePrefix);
  const limit = pageSize === 0 ? UNLIMITED : pageSize;
  const objects: T[] = [];
  let after =
    request.pageToken === ""
      ? undefined
      : list + encodeURIComponent(lastOf(list, request.pageToken));
  for (;;) {
    // One more than requested shows whether there is a next page.
    const missing = limit - objects.length + 1;
    const isFiltered = wanted.length > 0 || isVisible !== undefined;
    const batch = isFiltered ? Math.max(missing, BATCH_MIN) : missing;
    const page = { limit: batch, ...defined({ after }) };
    const found = await records.listPrefix(of, prefix, page);
    for (const { value } of found) {
      if (!wanted.every(([key, text]) => value.labels[key] === text)) continue;
      if (isVisible?.(value) === false) continue;
      if (objects.length === limit)
        return { objects, nextPageToken: pageToken(list, objects.at(-1)!.name) };
      objects.push(value);
    }
    if (found.length < batch) return { objects, nextPageToken: "" };
    after = found.at(-1)!.key;
  }
}
