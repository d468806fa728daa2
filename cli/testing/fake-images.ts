import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import type { Image } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import {
  Image_RegisteredBlockStorageSchema,
  ImageSchema,
  ImageService,
} from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { BlockStorage_BlockStorageState as State } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Collection } from "./collection.ts";
import { newCollection, refuse } from "./collection.ts";
import type { FakeDisks } from "./fake-disks.ts";

export interface FakeImages {
  readonly images: Collection<Image>;
  register(router: ConnectRouter): void;
}

/** Registering protects a disk, unregistering makes it available again. */
export function newFakeImages({ disks, make, move }: FakeDisks): FakeImages {
  const images = newCollection<Image>("image");
  const holds = (image: Image, disk: string) =>
    image.registeredBlockStorages.some((r) => r.blockStorageName === disk);

  const register = (router: ConnectRouter) =>
    router.service(ImageService, {
      listImages(request) {
        const { records, nextPageToken } = images.page(request);
        return { images: records, nextPageToken };
      },
      getImage: ({ name }) => images.get(name),
      applyImage({ name, annotations, labels }) {
        const before = images.find(name) ?? create(ImageSchema, { name });
        return images.put({ ...before, annotations, labels });
      },
      deleteImage({ name }) {
        images.delete(name);
        return {};
      },
      registerBlockStorage({ imageName, blockStorageName: disk, tags }) {
        const image = images.get(imageName);
        if (holds(image, disk)) refuse(`block storage "${disk}" is registered already`);
        move(disk, [State.AVAILABLE, State.PROTECTED], State.PROTECTED);
        const entry = create(Image_RegisteredBlockStorageSchema, { blockStorageName: disk });
        const registeredBlockStorages = [...image.registeredBlockStorages, entry];
        const named = Object.fromEntries(tags.map((tag) => [tag, disk]));
        return images.put({ ...image, registeredBlockStorages, tags: { ...image.tags, ...named } });
      },
      unregisterBlockStorage({ imageName, blockStorageName: disk }) {
        const image = images.get(imageName);
        if (!holds(image, disk)) refuse(`block storage "${disk}" is not registered`);
        if (disks.find(disk) !== undefined) move(disk, [State.PROTECTED], State.AVAILABLE);
        const isOther = (name: string) => name !== disk;
        return images.put({
          ...image,
          registeredBlockStorages: image.registeredBlockStorages.filter((r) =>
            isOther(r.blockStorageName),
          ),
          tags: Object.fromEntries(Object.entries(image.tags).filter(([, d]) => isOther(d))),
        });
      },
      generateBlockStorage({ imageName, blockStorageName, tag, ...fields }) {
        const source = images.get(imageName).tags[tag];
        if (source === undefined) refuse(`image "${imageName}" has no tag "${tag}"`);
        return make({ ...fields, name: blockStorageName });
      },
      tagImage({ name, tag, registeredBlockStorageName: disk }) {
        const image = images.get(name);
        if (!holds(image, disk)) refuse(`block storage "${disk}" is not registered`);
        return images.put({ ...image, tags: { ...image.tags, [tag]: disk } });
      },
      untagImage({ name, tag }) {
        const image = images.get(name);
        const { [tag]: disk, ...tags } = image.tags;
        if (disk === undefined) refuse(`image "${name}" has no tag "${tag}"`);
        return images.put({ ...image, tags });
      },
      async *watchImages({ name }, { signal }) {
        for await (const change of images.watch(name, signal)) {
          if (change === undefined) yield { synced: true };
          else yield typeof change === "string" ? { deletedName: change } : { image: change };
        }
      },
    });
  return { images, register: (router) => void register(router) };
}
