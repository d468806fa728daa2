import type { BlockStorage } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { COPY_FROM, FETCH_FROM } from "../../src/util/annotation-keys.ts";
import { tagsOf } from "./names.ts";
import type { World } from "./world.ts";

/** How a block storage can be made again. */
export type Source =
  | { readonly kind: "empty"; readonly why?: string }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "copy"; readonly of: string }
  | {
      readonly kind: "image";
      /** `project/name` for one of another project. */
      readonly image: string;
      readonly tag: string;
      /** The block storage of the tag; undefined for one of another project. */
      readonly base: string | undefined;
    };

/**
 * How to make it. Names can be used again, so what the records say can go in a circle, or have no end in this world:
 * then it is empty, with the reason.
 */
export function sourceOf(world: World, name: string): Source {
  const known = KNOWN.get(world) ?? new Map<string, Source>();
  KNOWN.set(world, known);
  const source = known.get(name) ?? findSource(world, name);
  known.set(name, source);
  return source;
}

const KNOWN = new WeakMap<World, Map<string, Source>>();

function findSource(world: World, name: string): Source {
  const source = recordedSource(world, name);
  const next = baseOf(source);
  if (next === undefined || circleOf(world, name)[0] !== name) return source;
  const why = `It was made from "${next}", and that from what has its name now. So it is made empty.`;
  return { kind: "empty", why };
}

/** The block storage of this project from which it is made. */
export function baseOf(source: Source): string | undefined {
  if (source.kind === "copy") return source.of;
  return source.kind === "image" ? source.base : undefined;
}

/** The circle on which a block storage is, in the order of names; empty if it is on none. */
function circleOf(world: World, name: string): readonly string[] {
  const way = [name];
  for (let at = name; ; ) {
    const next = baseOf(recordedSource(world, at));
    if (next === undefined) return [];
    if (next === name) return way.sort();
    if (way.includes(next)) return [];
    way.push(next);
    at = next;
  }
}

function recordedSource(world: World, name: string): Source {
  const disk = world.blockStorages.get(name);
  if (disk === undefined) return { kind: "empty" };
  const url = disk.annotations[FETCH_FROM];
  if (url !== undefined) return { kind: "url", url };
  const from = disk.baseBlockStorageName || disk.annotations[COPY_FROM];
  if (from === undefined) return { kind: "empty" };
  // What has no base any more, such as after it was moved, is a whole disk, but began as that image.
  const image = imageWith(world, disk, from);
  if (image !== undefined && disk.baseVolumeId !== "") return image;
  const present = world.blockStorages.get(from);
  if (present === undefined) return image ?? { kind: "empty", why: lost(from) };
  return { kind: "copy", of: from };
}

function lost(from: string): string {
  return `It was made from the block storage "${from}", which cannot be used any more. So it is made empty.`;
}

/** The image, own or of another project, with a tag of a block storage. */
function imageWith(world: World, disk: BlockStorage, from: string): Source | undefined {
  const isOwn = !from.includes("/");
  const base = from.slice(from.indexOf("/") + 1);
  for (const [name, image] of world.images) {
    if (isOwn === name.includes("/")) continue;
    if (!isOwn && name !== disk.imageName) continue;
    const [tag] = tagsOf(image, base);
    if (tag !== undefined) {
      return { kind: "image", image: name, tag, base: isOwn ? base : undefined };
    }
  }
  return undefined;
}
