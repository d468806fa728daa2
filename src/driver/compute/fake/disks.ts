import type { DomainDisks } from "../domain-disks.ts";
import { type FakeNode, wrongState } from "./fake-node.ts";

export function fakeDisks(node: FakeNode): DomainDisks {
  const { diskSizes } = node;
  const requireDisk = (name: string, path: string) => {
    if (!node.active(name).info.diskPaths.includes(path))
      throw wrongState(name, "has no such disk");
  };
  return {
    growDisk: (name, path, sizeBytes, signal) =>
      node.guarded("growDisk", signal, () => {
        requireDisk(name, path);
        if ((diskSizes.get(path) ?? 0n) > sizeBytes)
          throw wrongState(name, "has a disk larger than that");
        diskSizes.set(path, sizeBytes);
      }),
    undoGrowDisk: (name, path, { fromBytes, toBytes }, signal) =>
      node.guarded("undoGrowDisk", signal, () => {
        requireDisk(name, path);
        if (diskSizes.get(path) === toBytes) diskSizes.set(path, fromBytes);
      }),
  };
}
