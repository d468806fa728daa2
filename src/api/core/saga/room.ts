import type { Api } from "../context.ts";

/**
 * The last space of the datastore is reserved for bringing open transactions to rest, and for freeing space.
 *
 * @throws N0Error `resource_exhausted` if there is no more than that.
 */
export function throwUnlessRoom(
  { datastore, kinds }: Pick<Api, "datastore" | "kinds">,
  rpc: string,
): void {
  if (!kinds.some(({ givesRoom }) => givesRoom.includes(rpc))) datastore.checkRoom();
}
