import { putNew, remove, unchanged } from "../../../../datastore/collection.ts";
import { ConflictError, merge } from "../../../../datastore/datastore.ts";
import { N0Error } from "../../../../util/errors.ts";
import type { SagaRecordStep } from "../../../core/context.ts";
import { blockStorages, overlays } from "../collection.ts";

/** Notes that an overlay rests on a base, on the condition that the base is still what it was. */
export const recordOverlay: SagaRecordStep<{
  readonly baseId: string;
  readonly volumeId: string;
  readonly name: string;
  readonly sourceName: string;
  readonly sourceRevision: number;
}> = {
  name: "volume.record_overlay",
  async writeRecords({ api }, input, _scope, write) {
    const { baseId, volumeId, name, sourceName, sourceRevision } = input;
    try {
      await write(
        merge(
          putNew(overlays, [baseId, volumeId], { blockStorage: name }),
          unchanged(blockStorages, [sourceName], sourceRevision),
        ),
      );
    } catch (cause) {
      if (!(cause instanceof ConflictError)) throw cause;
      if ((await api.records.find(overlays, baseId, volumeId)) !== undefined) return;
      const message = `block storage "${sourceName}" is being changed: try again`;
      throw new N0Error("aborted", message, { cause, retryAfterMs: 200 });
    }
  },
  async undo({ api }, { baseId, volumeId }) {
    await api.datastore.batch(remove(overlays, baseId, volumeId));
  },
};
