import { create } from "@bufbuild/protobuf";
import type { Writes } from "../../../datastore/datastore.ts";
import { unreferenced } from "../../../datastore/references.ts";
import {
  type ApplyImageRequest,
  type Image,
  ImageSchema,
  ImageService,
} from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import { BlockStorage_BlockStorageState as State } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call, Tx } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { willDelete } from "../../core/saga/tasks/going.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { sharingOf, throwIfUsedElsewhere } from "../../core/sharing.ts";
import { blockStorageBeside, blockStorages } from "../../provisioning/block-storage/collection.ts";
import { settled } from "../../provisioning/block-storage/record.ts";
import type { Api } from "../../provisioning/context.ts";
import { images } from "./collection.ts";
import { getImage } from "./record.ts";

/** Makes an image, or changes the labels and annotations of one. */
export async function applyImage(api: Api, call: Call, request: ApplyImageRequest): Promise<Image> {
  const { name, annotations, labels } = request;
  const ref = refOf(call, images, name);
  const options = { method: ImageService.method.applyImage, keys: [images.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    const present = (await api.records.find(images, ref))?.value;
    const { registeredBlockStorages = [], tags = {} } = present ?? {};
    const kept = { registeredBlockStorages, tags, ...sharingOf(present) };
    const image = create(ImageSchema, { name, annotations, labels, ...kept });
    return await tx.answerRecord(images, ref, image, present);
  });
}

/**
 * Removes an image. The block storages that were registered in it stay, and are no longer protected.
 *
 * @throws N0Error `not_found`; `failed_precondition` while block storages of other projects rest on it.
 */
export async function deleteImage(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, images, name);
  const keys = async () => keysOf(ref, await getImage(api, ref));
  await runSaga(api, call, { method: ImageService.method.deleteImage, keys }, async (tx) => {
    const image = await getImage(api, ref);
    willDelete(ref);
    const writes: Writes[] = [
      await unusedElsewhere(api, ref),
      tx.context.held.remove(images, ref, image),
    ];
    for (const { blockStorageName } of image.registeredBlockStorages) {
      const diskRef = blockStorageBeside(ref, blockStorageName);
      const disk = await api.records.find(blockStorages, diskRef);
      if (disk?.value.state !== State.PROTECTED) continue;
      const free = settled(disk.value, State.AVAILABLE);
      writes.push(tx.context.held.put(blockStorages, diskRef, free, disk.value));
    }
    return await tx.answer(DONE, ...writes);
  });
}

function keysOf(ref: Ref, { registeredBlockStorages }: Image): string[] {
  return [
    images.key(ref),
    ...registeredBlockStorages.map(({ blockStorageName }) =>
      blockStorages.key(blockStorageBeside(ref, blockStorageName)),
    ),
  ];
}

/** Images go with their project, unless another project uses one. Their block storages go too. */
export const withProject = {
  async check(api: Api, ref: Ref) {
    await throwIfUsedElsewhere(api, ref, "image");
  },
  async remove(api: Api, tx: Tx, refs: readonly Ref[]) {
    const writes: Writes[] = [];
    for (const ref of refs) {
      const image = await getImage(api, ref);
      writes.push(await unusedElsewhere(api, ref), tx.context.held.remove(images, ref, image));
    }
    return writes;
  },
};

/** For the batch that removes the image. @throws N0Error `failed_precondition`. */
async function unusedElsewhere(api: Api, ref: Ref): Promise<Writes> {
  const nobodyRefers = await unreferenced(api.records, ref);
  await throwIfUsedElsewhere(api, ref, "image");
  return nobodyRefers;
}
