import type { Api } from "../context.ts";

/** What gives room back, on the datastore's disk or on a node's, which may be the same one. */
const GIVES_ROOM = /^(Delete|Purge|Release|Shutdown|Unregister|Untag)/;

/**
 * The last room of the datastore is for bringing to rest what is open, and for making room.
 *
 * @throws N0Error `resource_exhausted` where there is no more than that.
 */
export function throwUnlessRoom({ datastore }: Pick<Api, "datastore">, kind: string): void {
  if (!GIVES_ROOM.test(kind)) datastore.checkRoom();
}
