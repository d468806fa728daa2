import type { Objects } from "../../../datastore/collection.ts";
import type { Records, Stored } from "../../../datastore/records.ts";
import { invalid } from "../../../util/errors.ts";
import { isVisible, type Shareable } from "../sharing.ts";
import { type ListRequest, listPage } from "./list.ts";

interface Labelled extends Shareable {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
}

/** A field of the List requests of objects that can be shared. */
export interface WithShared {
  readonly withShared: boolean;
}

interface SharedPage<T> {
  readonly objects: readonly T[];
  /** Those of other projects. */
  readonly shared: readonly Stored<T>[];
  readonly nextPageToken: string;
}

const BATCH = 256;
/** Begins the tokens of pages that begin with an object of another project. No other token has a dot. */
const SHARED_TOKEN = "shared.";
/** The rest of a key after its collection: no name has a character that a key encodes. */
const SCOPE_AND_NAME = /^[\w.-]+\/[\w.-]+$/;

/**
 * One page of the objects of a project and then, in the order of their projects and names, of those that other
 * projects share with it. This reads the objects of all projects, so it is for kinds of which there are few.
 */
export async function listWithShared<T extends Labelled>(
  records: Records,
  of: Objects<T>,
  project: string,
  request: ListRequest,
): Promise<SharedPage<T>> {
  const isLater = request.pageToken.startsWith(SHARED_TOKEN);
  const own = isLater
    ? { objects: [], nextPageToken: "" }
    : await listPage(records, of, project, request);
  if (own.nextPageToken !== "") return { ...own, shared: [] };
  const room = request.pageSize === 0 ? Number.POSITIVE_INFINITY : request.pageSize;
  const left = room - own.objects.length;
  let after = isLater ? keyAfter(of, request.pageToken) : "";
  const shared: Stored<T>[] = [];
  for await (const stored of sharedWith(records, of, project, request, after)) {
    if (shared.length === left) {
      return { objects: own.objects, shared, nextPageToken: tokenOf(of, after) };
    }
    shared.push(stored);
    after = stored.key;
  }
  return { objects: own.objects, shared, nextPageToken: "" };
}

/** @param start The key after which to begin; empty for the first one. */
async function* sharedWith<T extends Labelled>(
  records: Records,
  of: Objects<T>,
  project: string,
  { namePrefix, labelSelector }: ListRequest,
  start: string,
): AsyncGenerator<Stored<T>> {
  const labels = Object.entries(labelSelector);
  for (let after = start; ; ) {
    const page = { limit: BATCH, ...(after === "" ? {} : { after }) };
    const found = await records.listPrefix(of, of.prefix, page);
    for (const stored of found) {
      const { value } = stored;
      const { scope } = of.refOf(stored.key);
      if (scope === project || !isVisible(value, scope, project)) continue;
      if (!value.name.startsWith(namePrefix)) continue;
      if (labels.every(([key, text]) => value.labels[key] === text)) yield stored;
    }
    if (found.length < BATCH) return;
    after = found.at(-1)!.key;
  }
}

/** @param after The key of the last object of the page; empty for the first of the shared ones. */
function tokenOf({ prefix }: Pick<Objects<unknown>, "prefix">, after: string): string {
  return SHARED_TOKEN + Buffer.from(after.slice(prefix.length)).toString("base64url");
}

function keyAfter({ prefix }: Pick<Objects<unknown>, "prefix">, token: string): string {
  const text = token.slice(SHARED_TOKEN.length);
  if (text === "") return "";
  const rest = Buffer.from(text, "base64url").toString();
  if (!SCOPE_AND_NAME.test(rest) || tokenOf({ prefix }, prefix + rest) !== token) {
    throw invalid("page_token", "is not from an answer of this list: start without it");
  }
  return prefix + rest;
}
