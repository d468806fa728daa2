import { unchanged } from "../../../../datastore/collection.ts";
import { ConflictError, merge } from "../../../../datastore/datastore.ts";
import { N0Error } from "../../../../util/errors.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { SagaRecordStep } from "../../../core/context.ts";
import { namesToRefs } from "../../../core/saga/older-input.ts";
import { blockStorages, overlays } from "../collection.ts";
import { forgetBase, recordBase } from "./bases.ts";

/** Records that an overlay rests on a base, on the condition that the base has not changed. */
export const recordOverlay: SagaRecordStep<{
  readonly baseId: string;
  readonly volumeId: string;
  readonly ref: Ref;
  readonly source: Ref;
  readonly sourceRevision: number;
}> = {
  name: "volume.record_overlay",
  today: namesToRefs({
    ref: [blockStorages.kind, "name"],
    source: [blockStorages.kind, "sourceName"],
  }),
  async writeRecords({ api }, input, _scope, write) {
    const { baseId, volumeId, ref, source, sourceRevision } = input;
    try {
      await write(
        merge(
          recordBase(ref, { baseVolumeId: baseId, volumeId }),
          unchanged(overlays, [baseId, volumeId], 0),
          unchanged(blockStorages, [source], sourceRevision),
        ),
      );
    } catch (cause) {
      if (!(cause instanceof ConflictError)) throw cause;
      if ((await api.records.find(overlays, baseId, volumeId)) !== undefined) return;
      const message = `block storage "${source.name}" is being changed: try again`;
      throw new N0Error("aborted", message, { cause, retryAfterMs: 200 });
    }
  },
  async undo({ api }, { baseId, volumeId }) {
    await api.datastore.batch(forgetBase({ baseVolumeId: baseId, volumeId }));
  },
};
