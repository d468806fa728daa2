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
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { currentTask } from "../../core/saga/ambient.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { blockStorageBeside, blockStorages } from "../../provisioning/block-storage/collection.ts";
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
  tagged,
  throwIfTooMany,
  throwUnlessRegistered,
  throwUnlessTag,
  unregistered,
} from "./record.ts";

/**
 * Registers a block storage in an image and protects it. Waits for one that is still being made. Moves the
 * given tags to it.
 *
 * @throws N0Error `not_found`; `failed_precondition` if it is not AVAILABLE, or registered already.
 */
export async function registerBlockStorage(
  api: Api,
  call: Call,
  { imageName, blockStorageName, tags }: RegisterBlockStorageRequest,
): Promise<Image> {
  tags.forEach((tag, i) => throwUnlessTag(`tags[${i}]`, tag));
  const ref = refOf(call, images, imageName);
  const diskRef = blockStorageBeside(ref, blockStorageName);
  const keys = [images.key(ref), blockStorages.key(diskRef)];
  const options = { method: ImageService.method.registerBlockStorage, keys, waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, ref);
    if (isRegistered(before, blockStorageName)) {
      if (isStanding(before, blockStorageName, tags)) return await tx.answer(before);
      throw new N0Error(
        "failed_precondition",
        `block storage "${blockStorageName}" is registered in image "${imageName}" already: unregister it first, or only tag it`,
        { resource: formatRef(ref) },
      );
    }
    const disk = (await getBlockStorage(api, diskRef)).value;
    throwUnlessIn(diskRef, disk, [State.AVAILABLE]);
    const image = changed(before, (copy) => {
      copy.registeredBlockStorages.push(
        create(Image_RegisteredBlockStorageSchema, {
          blockStorageName,
          registeredAt: timestampFromMs(api.clock.nowMs()),
        }),
      );
      for (const tag of tags) copy.tags[tag] = blockStorageName;
    });
    throwIfTooMany(ref, image);
    const { held } = tx.context;
    return await tx.answer(
      image,
      held.put(images, ref, image, before),
      held.put(blockStorages, diskRef, settled(disk, State.PROTECTED), disk),
    );
  });
}

/** A task has nothing to do if it is registered with all of these tags. */
function isStanding({ tags }: Image, disk: string, asked: readonly string[]): boolean {
  return currentTask() !== undefined && asked.every((tag) => tags[tag] === disk);
}

/**
 * Removes a block storage from an image, with the tags that point to it. Changes nothing if it is in no image,
 * so that a repeated call has the same answer.
 *
 * @throws N0Error `not_found` if the image or the block storage does not exist; `failed_precondition` if
 * another image protects it.
 */
export async function unregisterBlockStorage(
  api: Api,
  call: Call,
  { imageName, blockStorageName }: UnregisterBlockStorageRequest,
): Promise<Image> {
  const ref = refOf(call, images, imageName);
  const diskRef = blockStorageBeside(ref, blockStorageName);
  const keys = [images.key(ref), blockStorages.key(diskRef)];
  const options = { method: ImageService.method.unregisterBlockStorage, keys, waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, ref);
    if (!isRegistered(before, blockStorageName)) {
      throwIfProtected(ref, (await getBlockStorage(api, diskRef)).value);
      return await tx.answer(before);
    }
    const image = unregistered(before, new Set([blockStorageName]));
    const { held } = tx.context;
    const disk = await api.records.find(blockStorages, diskRef);
    const isProtected = disk?.value.state === State.PROTECTED;
    return await tx.answer(
      image,
      held.put(images, ref, image, before),
      isProtected
        ? held.put(blockStorages, diskRef, settled(disk.value, State.AVAILABLE), disk.value)
        : {},
    );
  });
}

/** A user who unregisters it from the wrong image must not believe that it is free. */
function throwIfProtected(image: Ref, { name, state }: BlockStorage): void {
  if (state !== State.PROTECTED) return;
  throw new N0Error(
    "failed_precondition",
    `block storage "${name}" is not registered in image "${image.name}", and PROTECTED: unregister it from the image that has it`,
    { resource: formatRef(image) },
  );
}

/** Points a tag to a registered block storage. */
export async function tagImage(
  api: Api,
  call: Call,
  { name, tag, registeredBlockStorageName }: TagImageRequest,
): Promise<Image> {
  throwUnlessTag("tag", tag);
  const ref = refOf(call, images, name);
  const options = { method: ImageService.method.tagImage, keys: [images.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, ref);
    throwUnlessRegistered(ref, before, registeredBlockStorageName);
    const image = changed(before, (copy) => {
      copy.tags[tag] = registeredBlockStorageName;
    });
    throwIfTooMany(ref, image);
    return await tx.answerRecord(images, ref, image, before);
  });
}

/** Removes a tag. */
export async function untagImage(
  api: Api,
  call: Call,
  { name, tag }: UntagImageRequest,
): Promise<Image> {
  const ref = refOf(call, images, name);
  const options = { method: ImageService.method.untagImage, keys: [images.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, ref);
    tagged(ref, before, tag);
    const image = changed(before, (copy) => {
      delete copy.tags[tag];
    });
    return await tx.answerRecord(images, ref, image, before);
  });
}
