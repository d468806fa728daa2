import type { DomainDisks } from "../../domain-disks.ts";
import type { LibvirtConnection } from "../connection.ts";
import { checkName } from "../domain-paths.ts";

export function libvirtDisks(connection: LibvirtConnection): DomainDisks {
  return {
    async growDisk(name, path, sizeBytes, signal) {
      checkName(name);
      await connection.change({ kind: "grow", name, path, sizeBytes }, signal);
    },
    async undoGrowDisk(name, path, { fromBytes, toBytes }, signal) {
      checkName(name);
      await connection.change({ kind: "undo_grow", name, path, fromBytes, toBytes }, signal);
    },
  };
}
