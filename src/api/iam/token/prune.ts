import { timestampMs } from "@bufbuild/protobuf/wkt";
import { unchanged } from "../../../datastore/collection.ts";
import { ConflictError, type Datastore, merge } from "../../../datastore/datastore.ts";
import { referenceKeys } from "../../../datastore/references.ts";
import { tokens, tokenUses } from "./collection.ts";

/** Deletes the tokens that expired before `beforeMs`, each in a batch of its own. */
export async function pruneTokens(datastore: Datastore, beforeMs: number): Promise<void> {
  for (const { key, value, revision } of await datastore.list(tokens.prefix)) {
    const token = tokens.decode(value);
    if (token.expiresAt === undefined || timestampMs(token.expiresAt) > beforeMs) continue;
    const ref = tokens.refOf(key);
    const deletes = [key, tokenUses.key(ref), ...referenceKeys(tokens, key, token)];
    try {
      await datastore.batch(merge({ deletes }, unchanged(tokens, [ref], revision)));
    } catch (reason) {
      // Somebody deletes it at the same time.
      if (!(reason instanceof ConflictError)) throw reason;
    }
  }
}
