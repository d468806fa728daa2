import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Image,
  Image_RegisteredBlockStorageSchema,
  ImageService,
  type RegisterBlockStorageRequest,
  type TagImageRequest,
  type UnregisterBlockStorageRequest,
  type UntagImageRequest,
} from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import {
  getBlockStorage,
  settled,
  throwUnlessIn,
} from "../../provisioning/block-storage/record.ts";
import type { Api } from "../../provisioning/context.ts";
import { images } from "./collection.ts";
import {
  changed,
  getImage,
  isRegistered,
  ownerOf,
  tagged,
  throwIfTooMany,
  throwUnlessRegistered,
  throwUnlessTag,
  unregistered,
} from "./record.ts";

/**
 * Registers a disk in an image and protects it; waits for one that is still being made. Tags that
 * pointed elsewhere move to it.
 *
 * @throws N0Error `not_found`; `failed_precondition` for a disk that is not AVAILABLE, or registered already.
 */
export async function registerBlockStorage(
  api: Api,
  call: Call,
  { imageName, blockStorageName, tags }: RegisterBlockStorageRequest,
): Promise<Image> {
  tags.forEach((tag, i) => throwUnlessTag(`tags[${i}]`, tag));
  const keys = [images.key(imageName), blockStorages.key(blockStorageName)];
  const options = { method: ImageService.method.registerBlockStorage, keys, waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, imageName);
    if (isRegistered(before, blockStorageName)) {
      throw new N0Error(
        "failed_precondition",
        `block storage "${blockStorageName}" is registered in image "${imageName}" already: unregister it first, or only tag it`,
        { resource: ownerOf(imageName) },
      );
    }
    const disk = (await getBlockStorage(api, blockStorageName)).value;
    throwUnlessIn(disk, [State.AVAILABLE]);
    const image = changed(before, (copy) => {
      copy.registeredBlockStorages.push(
        create(Image_RegisteredBlockStorageSchema, {
          blockStorageName,
          registeredAt: timestampFromMs(api.clock.nowMs()),
        }),
      );
      for (const tag of tags) copy.tags[tag] = blockStorageName;
    });
    throwIfTooMany(image);
    const { held } = tx.context;
    return await tx.answer(
      image,
      held.put(images, imageName, image, before),
      held.put(blockStorages, blockStorageName, settled(disk, State.PROTECTED), disk),
    );
  });
}

/**
 * Takes a disk out of an image, with the tags that point to it. One that is in no image stays as it is,
 * so that a repeated call is answered like the first.
 *
 * @throws N0Error `not_found` for an image or a disk that does not exist; `failed_precondition` for a disk
 *   that something else protects.
 */
export async function unregisterBlockStorage(
  api: Api,
  call: Call,
  { imageName, blockStorageName }: UnregisterBlockStorageRequest,
): Promise<Image> {
  const keys = [images.key(imageName), blockStorages.key(blockStorageName)];
  const options = { method: ImageService.method.unregisterBlockStorage, keys, waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, imageName);
    if (!isRegistered(before, blockStorageName)) {
      throwIfProtected((await getBlockStorage(api, blockStorageName)).value, imageName);
      return await tx.answer(before);
    }
    const image = unregistered(before, new Set([blockStorageName]));
    const { held } = tx.context;
    const disk = await api.records.find(blockStorages, blockStorageName);
    const isProtected = disk?.value.state === State.PROTECTED;
    return await tx.answer(
      image,
      held.put(images, imageName, image, before),
      isProtected
        ? held.put(
            blockStorages,
            blockStorageName,
            settled(disk.value, State.AVAILABLE),
            disk.value,
          )
        : {},
    );
  });
}

/** Whoever unregisters it from the wrong image must not believe that it is free. */
function throwIfProtected({ name, state }: BlockStorage, imageName: string): void {
  if (state !== State.PROTECTED) return;
  throw new N0Error(
    "failed_precondition",
    `block storage "${name}" is not registered in image "${imageName}", and PROTECTED: unregister it from the image that it is in`,
    { resource: ownerOf(imageName) },
  );
}

/** Points a tag to a registered disk. */
export async function tagImage(
  api: Api,
  call: Call,
  { name, tag, registeredBlockStorageName }: TagImageRequest,
): Promise<Image> {
  throwUnlessTag("tag", tag);
  const options = { method: ImageService.method.tagImage, keys: [images.key(name)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, name);
    throwUnlessRegistered(before, registeredBlockStorageName);
    const image = changed(before, (copy) => {
      copy.tags[tag] = registeredBlockStorageName;
    });
    throwIfTooMany(image);
    return await tx.answerRecord(images, name, image, before);
  });
}

/** Removes a tag. */
export async function untagImage(
  api: Api,
  call: Call,
  { name, tag }: UntagImageRequest,
): Promise<Image> {
  const options = { method: ImageService.method.untagImage, keys: [images.key(name)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, name);
    tagged(before, tag);
    const image = changed(before, (copy) => {
      delete copy.tags[tag];
    });
    return await tx.answerRecord(images, name, image, before);
  });
}
