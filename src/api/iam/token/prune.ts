import { timestampMs } from "@bufbuild/protobuf/wkt";
import { unchanged } from "../../../datastore/collection.ts";
import { ConflictError, type Datastore, merge } from "../../../datastore/datastore.ts";
import { tokens, withoutToken } from "./collection.ts";

/** Deletes the tokens that expired before `beforeMs`, each in a batch of its own. */
export async function pruneTokens(datastore: Datastore, beforeMs: number): Promise<void> {
  for (const { key, value, revision } of await datastore.list(tokens.prefix)) {
    const token = tokens.decode(value);
    if (token.expiresAt === undefined || timestampMs(token.expiresAt) > beforeMs) continue;
    const ref = tokens.refOf(key);
    try {
      await datastore.batch(
        merge(withoutToken({ key, value: token }), unchanged(tokens, [ref], revision)),
      );
    } catch (reason) {
      // Somebody deletes it at the same time.
      if (!(reason instanceof ConflictError)) throw reason;
    }
  }
}
