import { clone } from "@bufbuild/protobuf";
import {
  type Image,
  ImageSchema,
  ImageService,
} from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import { images } from "../../deployment/image/collection.ts";
import { isSameTexts, type Undoing } from "./change.ts";
import { type Draft, draft } from "./draft.ts";
import { isShared, isSharedAs, plainSharing, visibilityOf } from "./sharing.ts";

const { method } = ImageService;
const kind = images.kind;

export const imageUndoing: Undoing<typeof ImageSchema> = {
  of: images,
  schema: ImageSchema,
  word: "image",

  plain(image) {
    const copy = clone(ImageSchema, image);
    for (const field of ["transactionId", "project"] as const) copy[field] = "";
    plainSharing(copy);
    copy.registeredBlockStorages.sort((a, b) => (a.blockStorageName < b.blockStorageName ? -1 : 1));
    for (const registered of copy.registeredBlockStorages) delete registered.registeredAt;
    return copy;
  },

  remove: ({ name }) => [draft(kind, method.deleteImage, name, { name })],

  make: ({ name }, before) => [
    apply(name, before),
    ...disksOf(before).map((disk) => register(name, before, disk)),
    ...(isShared(before) ? [share(name, before)] : []),
  ],

  restore({ name, before, after }) {
    const isSame =
      isSameTexts(before.labels, after.labels) &&
      isSameTexts(before.annotations, after.annotations);
    const [was, is] = [disksOf(before), disksOf(after)];
    const lost = was.filter((disk) => !is.includes(disk));
    const tags = Object.entries(before.tags).filter(
      ([tag, disk]) => after.tags[tag] !== disk && !lost.includes(disk),
    );
    const surplus = Object.keys(after.tags).filter((tag) => !Object.hasOwn(before.tags, tag));
    const stays = surplus.filter((tag) => was.includes(after.tags[tag]!));
    return [
      ...(isSame ? [] : [apply(name, before)]),
      ...lost.map((disk) => register(name, before, disk)),
      ...tags.map(([tag, registeredBlockStorageName]) =>
        draft(kind, method.tagImage, `${name}:${tag}`, { name, tag, registeredBlockStorageName }),
      ),
      ...stays.map((tag) => draft(kind, method.untagImage, `${name}:${tag}`, { name, tag })),
      ...is
        .filter((disk) => !was.includes(disk))
        .map((blockStorageName) =>
          draft(kind, method.unregisterBlockStorage, `${name}/${blockStorageName}`, {
            imageName: name,
            blockStorageName,
          }),
        ),
      ...(isSharedAs(before, after) ? [] : [share(name, before)]),
    ];
  },

  restored(copy, before) {
    const { labels, annotations, tags, registeredBlockStorages, visibility, visibleTo } =
      imageUndoing.plain(before);
    Object.assign(copy, { labels, annotations, tags, registeredBlockStorages });
    Object.assign(copy, { visibility, visibleTo });
  },
};

function disksOf({ registeredBlockStorages }: Image): string[] {
  return registeredBlockStorages.map(({ blockStorageName }) => blockStorageName);
}

function apply(name: string, { labels, annotations }: Image): Draft {
  return draft(kind, method.applyImage, name, { name, labels, annotations });
}

function register(imageName: string, { tags }: Image, blockStorageName: string): Draft {
  const own = Object.keys(tags).filter((tag) => tags[tag] === blockStorageName);
  const request = { imageName, blockStorageName, tags: own };
  return draft(kind, method.registerBlockStorage, `${imageName}/${blockStorageName}`, request);
}

function share(name: string, image: Image): Draft {
  return draft(kind, method.setImageVisibility, name, { name, ...visibilityOf(image) });
}
