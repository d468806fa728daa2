import { put, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, merge } from "../../../datastore/datastore.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { nodeRef } from "../../../util/ref.ts";
import { lost } from "../../core/agents.ts";
import type { Api } from "../context.ts";
import { heartbeats, nodes } from "./collection.ts";

/** Not a transaction: it is one observation, and concerns no object of a user. */
export async function heartbeat(api: Api, name: string): Promise<void> {
  const ref = nodeRef(name);
  const stored = await api.records.find(nodes, ref);
  if (stored === undefined) throw notFound("node", name);
  if (stored.value.lost) throw lost(name);
  try {
    await api.datastore.batch(
      merge(
        put(heartbeats, [name], { atMs: api.clock.nowMs() }),
        unchanged(nodes, [ref], stored.revision),
      ),
    );
  } catch (cause) {
    if (!(cause instanceof ConflictError)) throw cause;
    const message = `node "${name}" has just changed: try again`;
    throw new N0Error("aborted", message, { retryAfterMs: 100, cause });
  }
}
