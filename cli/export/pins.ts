import {
  REQUEST_NODE_OF_BLOCK_STORAGE,
  REQUEST_NODE_OF_VIRTUAL_MACHINE,
} from "../../src/util/annotation-keys.ts";
import { escapeText } from "../../src/util/template/text.ts";
import { makeBlockStorage } from "./block-storage.ts";
import { baseOf, sourceOf } from "./source.ts";
import { referenceTo } from "./task.ts";
import type { World } from "./world.ts";

/**
 * The nodes that block storages must ask for: all of one virtual machine are on one node. The first one asks for the
 * node that the virtual machine asks for, if it does; the others ask for the node of the first one, wherever that
 * comes to be.
 *
 * @param isThere Whether a block storage is in the file.
 */
export function pinsOf(
  world: World,
  isThere: (blockStorage: string) => boolean,
): ReadonlyMap<string, string> {
  const pins = new Map<string, string>();
  const comesAfter = new Map(
    [...world.blockStorages.keys()].map((name) => {
      const base = baseOf(sourceOf(world, name));
      return [name, base === undefined ? [] : [base]];
    }),
  );
  for (const { annotations, blockStorageNames } of world.virtualMachines.values()) {
    const disks = blockStorageNames.filter((name) => world.blockStorages.has(name));
    // One that is made from another one of them cannot come first.
    const first = disks.find(
      (name) => !disks.some((d) => d !== name && leads(comesAfter, name, d)),
    );
    const asked = annotations[REQUEST_NODE_OF_VIRTUAL_MACHINE];
    for (const name of disks) {
      if (name === first || first === undefined) {
        if (asked !== undefined) pins.set(name, escapeText(asked));
        continue;
      }
      const canRefer = isThere(first) && !leads(comesAfter, first, name);
      const nodeName = world.blockStorages.get(first)?.nodeName ?? "";
      if (canRefer) comesAfter.get(name)?.push(first);
      pins.set(name, canRefer ? reference(world, first) : escapeText(nodeName));
    }
  }
  return pins;
}

function reference(world: World, name: string): string {
  const node = world.blockStorages.get(name)?.annotations[REQUEST_NODE_OF_BLOCK_STORAGE];
  return node === undefined
    ? referenceTo(makeBlockStorage(world, name), "node_name")
    : escapeText(node);
}

function leads(
  comesAfter: ReadonlyMap<string, readonly string[]>,
  from: string,
  to: string,
): boolean {
  const seen = new Set([from]);
  for (const name of seen) for (const next of comesAfter.get(name) ?? []) seen.add(next);
  return seen.has(to);
}
