import {
  ApplyImageRequestSchema,
  type Image,
  ImageSchema,
} from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { readyBlockStorage } from "./block-storage.ts";
import { registerDisk, tagsOf } from "./names.ts";
import { sharing } from "./sharing.ts";
import { argsOf, type ExportTask, texts } from "./task.ts";
import type { World } from "./world.ts";

/** The image, its registered block storages with their tags, and who else may use it. */
export function imageTasks(world: World, image: Image): readonly ExportTask[] {
  const { name, annotations, labels } = image;
  const of = { kind: "image", name } as const;
  const apply = `apply-image-${name}`;
  const own = { annotations: texts(annotations), labels: texts(labels) };
  const args = argsOf(ApplyImageRequestSchema, ImageSchema, image, own);
  return [
    { name: apply, of, action: "ApplyImage", args, after: [] },
    ...registeredIn(world, image).map((disk): ExportTask => {
      const tags = tagsOf(image, disk);
      const list = tags.length === 0 ? {} : { tags };
      return {
        name: registerDisk(name, disk),
        of,
        action: "RegisterBlockStorage",
        args: { image_name: name, block_storage_name: disk, ...list },
        after: [apply, readyBlockStorage(world, disk)],
      };
    }),
    ...sharing("image", image, apply),
  ];
}

export function registeredIn(world: World, image: Image): readonly string[] {
  return image.registeredBlockStorages
    .map(({ blockStorageName }) => blockStorageName)
    .filter((name) => world.blockStorages.has(name))
    .sort();
}
