import type { Stored } from "../../../datastore/records.ts";
import {
  type GenerateBlockStorageRequest,
  ImageService,
} from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { invalid } from "../../../util/errors.ts";
import { nameBeside } from "../../../util/ref.ts";
import { COPY_FROM } from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { refOf } from "../../core/scope.ts";
import { getUsable } from "../../core/usable.ts";
import { blockStorageBeside, blockStorages } from "../../provisioning/block-storage/collection.ts";
import { makeBlockStorage } from "../../provisioning/block-storage/make.ts";
import { getBlockStorage, throwUnlessIn } from "../../provisioning/block-storage/record.ts";
import { recordOverlay } from "../../provisioning/block-storage/volume/overlay-step.ts";
import {
  ensureOverlay,
  type VolumePlace,
} from "../../provisioning/block-storage/volume/volume-steps.ts";
import type { Api, Tx } from "../../provisioning/context.ts";
import { images } from "./collection.ts";
import { registrationOf, tagged } from "./record.ts";
import { ensureReplica } from "./replica.ts";

/**
 * Makes a block storage from an image: an overlay on the block storage of the tag, or on its copy on the node
 * of the new one. The first overlay on a node makes that copy.
 *
 * @throws N0Error `not_found` for the image or tag; `invalid_argument` for a size below the base's; and the
 * errors of `makeBlockStorage`.
 */
export async function generateBlockStorage(
  api: Api,
  call: Call,
  request: GenerateBlockStorageRequest,
): Promise<BlockStorage> {
  const own = refOf(call, blockStorages, request.blockStorageName);
  const seen = await getUsable(api, { of: images, word: "image" }, own, request.imageName);
  const ref = images.refOf(seen.key);
  const image = seen.value;
  const isElsewhere = ref.scope !== own.scope;
  const sourceName = tagged(ref, image, request.tag);
  const sourceRef = blockStorageBeside(ref, sourceName);
  const shownName = nameBeside(own, sourceRef);
  const registration = registrationOf(image, sourceName);
  const make = { ...request, name: request.blockStorageName };
  return await makeBlockStorage(api, call, make, {
    method: ImageService.method.generateBlockStorage,
    annotations: { [COPY_FROM]: shownName },
    ...(isElsewhere ? { image: seen } : {}),
    check: async (limitBytes) => {
      const { value } = await getBlockStorage(api, sourceRef);
      throwUnlessIn(sourceRef, value, [State.PROTECTED]);
      if (limitBytes < value.limitBytes) {
        throw invalid(
          "limit_bytes",
          `must not be below that of "${shownName}", which is ${value.limitBytes}`,
        );
      }
    },
    make: async (tx, place) => {
      // The key of the base is not held, so that many can be generated at once. The base is checked again, and
      // the overlay is recorded on the condition that the base has not changed: otherwise a purge might have
      // begun.
      const source = await getBlockStorage(api, sourceRef);
      throwUnlessIn(sourceRef, source.value, [State.PROTECTED]);
      const baseId =
        source.value.nodeName === place.nodeName
          ? source.value.volumeId
          : await ensureReplica(api, call, tx, source, place.nodeName, registration);
      await overlay(tx, place, source, baseId);
      return { blockStorageName: shownName, volumeId: baseId };
    },
  });
}

async function overlay(
  tx: Tx,
  place: VolumePlace,
  { key, revision: sourceRevision }: Stored<BlockStorage>,
  baseId: string,
) {
  const { volumeId, ref } = place;
  const source = blockStorages.refOf(key);
  await tx.run(recordOverlay, { baseId, volumeId, ref, source, sourceRevision });
  await tx.run(ensureOverlay, { ...place, baseId });
}
