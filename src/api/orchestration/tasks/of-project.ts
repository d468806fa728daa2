import type { Api, Call, Kind } from "../../core/context.ts";
import { whereOf } from "../../core/where.ts";

/** The kind whose object the record is. */
export function kindOf({ kinds }: Pick<Api, "kinds">, key: string): Kind | undefined {
  return kinds.find(({ collection }) => key.startsWith(collection.prefix));
}

/** Whether the record is an object of the project of the call. */
export function isOfProject(api: Pick<Api, "kinds">, call: Call, key: string): boolean {
  const kind = kindOf(api, key);
  if (kind?.withProject === undefined) return false;
  const { project } = whereOf(call.values);
  return key.startsWith(kind.collection.within(project));
}
