import type { Objects } from "../../../datastore/collection.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Api } from "../context.ts";
import { isVisible, type Shareable } from "../sharing.ts";
import { type ListRequest, listPage } from "./list.ts";
import { lastOf, pageToken } from "./page-token.ts";

interface Labelled extends Shareable {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
}

/** A field of the List requests of objects that can be shared. */
export interface WithShared {
  readonly withShared: boolean;
}

type SharingApi = Pick<Api, "records" | "projectAges">;

interface SharedPage<T> {
  readonly objects: readonly T[];
  /** Those of other projects. */
  readonly shared: readonly Stored<T>[];
  readonly nextPageToken: string;
}

const BATCH = 256;
/** Begins the tokens of pages that begin with an object of another project. No other token has a dot. */
const SHARED_TOKEN = "shared.";

/**
 * One page of the objects of a project and then, in the order of their projects and names, of those that other
 * projects share with it. This reads the objects of all projects, so it is for kinds of which there are few.
 */
export async function listWithShared<T extends Labelled>(
  api: SharingApi,
  of: Objects<T>,
  project: string,
  request: ListRequest,
): Promise<SharedPage<T>> {
  const isLater = request.pageToken.startsWith(SHARED_TOKEN);
  const own = isLater
    ? { objects: [], nextPageToken: "" }
    : await listPage(api.records, of, project, request);
  if (own.nextPageToken !== "") return { ...own, shared: [] };
  const room = request.pageSize === 0 ? Number.POSITIVE_INFINITY : request.pageSize;
  const left = room - own.objects.length;
  let after = isLater ? keyAfter(of, project, request.pageToken) : "";
  const shared: Stored<T>[] = [];
  for await (const stored of sharedWith(api, of, project, request, after)) {
    if (shared.length === left) {
      return { objects: own.objects, shared, nextPageToken: tokenOf(of, project, after) };
    }
    shared.push(stored);
    after = stored.key;
  }
  return { objects: own.objects, shared, nextPageToken: "" };
}

/** @param start The key after which to begin; empty for the first one. */
async function* sharedWith<T extends Labelled>(
  { records, projectAges }: SharingApi,
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
      if (scope === project || !isVisible(value, scope, project, projectAges)) continue;
      if (!value.name.startsWith(namePrefix)) continue;
      if (labels.every(([key, text]) => value.labels[key] === text)) yield stored;
    }
    if (found.length < BATCH) return;
    after = found.at(-1)!.key;
  }
}

/** @param after The key of the last object of the page; empty for the first of the shared ones. */
function tokenOf({ prefix, within }: Keyed, project: string, after: string): string {
  // The slash, which begins no key, stands for the beginning.
  return SHARED_TOKEN + pageToken(within(project), `/${after.slice(prefix.length)}`);
}

function keyAfter({ prefix, within }: Keyed, project: string, token: string): string {
  const rest = lastOf(within(project), token.slice(SHARED_TOKEN.length)).slice(1);
  return rest === "" ? "" : prefix + rest;
}

type Keyed = Pick<Objects<unknown>, "prefix" | "within">;
