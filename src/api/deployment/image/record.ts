import { clone } from "@bufbuild/protobuf";
import { type Image, ImageSchema } from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import { invalid, N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api } from "../../provisioning/context.ts";
import { images } from "./collection.ts";

/** The most block storages of an image, and the most tags. */
const PARTS_MAX = 512;

/** @throws N0Error `not_found`. */
export async function getImage(api: Api, ref: Ref): Promise<Image> {
  const stored = await api.records.find(images, ref);
  if (stored === undefined) throw notFound("image", ref.name);
  return stored.value;
}

export function changed(image: Image, change: (copy: Image) => void): Image {
  const copy = clone(ImageSchema, image);
  change(copy);
  return copy;
}

/** @throws N0Error `failed_precondition` if the image would have more block storages or tags than allowed. */
export function throwIfTooMany(ref: Ref, { registeredBlockStorages, tags }: Image): void {
  const tagCount = Object.keys(tags).length;
  const diskCount = registeredBlockStorages.length;
  if (tagCount <= PARTS_MAX && diskCount <= PARTS_MAX) return;
  const [count, what, first] =
    tagCount > PARTS_MAX
      ? [tagCount, "tags", "untag some"]
      : [diskCount, "registered block storages", "unregister some"];
  const message = `image "${ref.name}" would have ${count} ${what}, and can have ${PARTS_MAX}: ${first} first`;
  throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}

/** The image without these block storages, and without the tags that point to them. */
export function unregistered(image: Image, disks: ReadonlySet<string>): Image {
  return changed(image, (copy) => {
    copy.registeredBlockStorages = copy.registeredBlockStorages.filter(
      (r) => !disks.has(r.blockStorageName),
    );
    for (const [tag, disk] of Object.entries(copy.tags)) if (disks.has(disk)) delete copy.tags[tag];
  });
}

/** Tags are the keys of an object, which silently ignores this name. */
export function throwUnlessTag(field: string, tag: string): void {
  if (tag === "__proto__") throw invalid(field, `"${tag}" cannot be a tag: use another one`);
}

export function isRegistered(image: Image, blockStorageName: string): boolean {
  return image.registeredBlockStorages.some((r) => r.blockStorageName === blockStorageName);
}

/**
 * Tells one registration of a block storage from a later one. Between them, somebody may have written to it.
 */
export function registrationOf(image: Image, blockStorageName: string): string {
  const found = image.registeredBlockStorages.find((r) => r.blockStorageName === blockStorageName);
  const { seconds, nanos } = found?.registeredAt ?? { seconds: 0n, nanos: 0 };
  return `${image.name}/${seconds}.${nanos.toString().padStart(9, "0")}`;
}

/** @throws N0Error `not_found` if it is not registered in the image. */
export function throwUnlessRegistered(ref: Ref, image: Image, blockStorageName: string): void {
  if (isRegistered(image, blockStorageName)) return;
  throw new N0Error(
    "not_found",
    `block storage "${blockStorageName}" is not registered in image "${ref.name}": register it first`,
    { resource: formatRef(ref) },
  );
}

/** The name of the block storage that has the tag. @throws N0Error `not_found`. */
export function tagged(ref: Ref, image: Image, tag: string): string {
  // Only its own members: every object has a "constructor".
  const name = Object.hasOwn(image.tags, tag) ? image.tags[tag] : undefined;
  if (name !== undefined) return name;
  const tags = Object.keys(image.tags).slice(0, 10);
  const hint = tags.length === 0 ? "it has no tags" : `it has ${tags.join(", ")}`;
  throw new N0Error("not_found", `image "${ref.name}" has no tag "${tag}": ${hint}`, {
    resource: formatRef(ref),
    field: "tag",
  });
}
