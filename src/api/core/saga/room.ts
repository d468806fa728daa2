import type { Api } from "../context.ts";

/**
 * The last room of the datastore is for bringing to rest what is open, and for making room.
 *
 * @throws N0Error `resource_exhausted` where there is no more than that.
 */
export function throwUnlessRoom(
  { datastore, kinds }: Pick<Api, "datastore" | "kinds">,
  rpc: string,
): void {
  if (!kinds.some(({ givesRoom }) => givesRoom.includes(rpc))) datastore.checkRoom();
}
