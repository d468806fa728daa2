import { readEach } from "./files.ts";
import type { Layout } from "./layout.ts";
import { readSidecar } from "./sidecar.ts";

/** Tells which volumes are overlays on a base, according to the folder. */
export interface BaseIndex {
  overlaysOn(id: string): Promise<string[]>;
  /** Call it when the volume is made or removed. */
  forget(id: string): void;
}

/** Reads each sidecar once, since sidecars never change. Reads the list of them from the folder each time. */
export function newBaseIndex(layout: Layout): BaseIndex {
  const baseIds = new Map<string, string | undefined>();

  async function baseOf(id: string): Promise<string | undefined> {
    if (baseIds.has(id)) return baseIds.get(id);
    const sidecar = await readSidecar(layout.sidecar(id));
    if (sidecar === undefined || sidecar === "unreadable") return undefined;
    baseIds.set(id, sidecar.baseId);
    return sidecar.baseId;
  }

  return {
    async overlaysOn(id) {
      const ids = await volumeIds(layout);
      const bases = await readEach(ids, baseOf);
      return ids.filter((_, index) => bases[index] === id);
    },
    forget: (id) => void baseIds.delete(id),
  };
}

/** The ids for which both files exist, sorted. */
export async function volumeIds(layout: Layout): Promise<string[]> {
  const entries = await layout.entries();
  const sidecars = new Set(entries.filter(({ kind }) => kind === "sidecar").map(({ id }) => id));
  return entries
    .filter(({ kind, id }) => kind === "volume" && sidecars.has(id))
    .map(({ id }) => id)
    .sort();
}
