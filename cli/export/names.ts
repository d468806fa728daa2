import type { Image } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";

// Names of tasks. An object's name has neither a slash nor a space, so no two tasks share a name.

export function applyNetwork(name: string): string {
  return `apply-network-${name}`;
}

export function applyGroup(name: string): string {
  return `apply-group-${name}`;
}

export function registerDisk(image: string, disk: string): string {
  return `register-disk-${image}/${disk}`;
}

/** The tags of an image that a block storage has. */
export function tagsOf({ tags }: Image, disk: string): readonly string[] {
  return Object.keys(tags)
    .filter((tag) => tags[tag] === disk)
    .sort();
}
