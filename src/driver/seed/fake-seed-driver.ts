import { join } from "node:path";
import { differingFiles, seedFiles } from "./cloud-init.ts";
import type { IsoFile } from "./iso9660.ts";
import type { Seed, SeedDriver } from "./seed-driver.ts";

export interface FakeSeedDriver extends SeedDriver {
  /** By path. A seed stays until somebody removes its folder. */
  readonly seeds: Map<string, Seed>;
  /** Called first. May throw or wait for ever, to make the call fail or hang. */
  before: (signal: AbortSignal) => void | Promise<void>;
  /** Stands for the removal of a folder, which the owner of the folder does. */
  removeFolder(folder: string): void;
}

/** Keeps seeds in memory. */
export function newFakeSeedDriver(): FakeSeedDriver {
  const seeds = new Map<string, Seed>();
  return {
    seeds,
    before: () => {},
    async ensure(folder, seed, signal) {
      signal.throwIfAborted();
      await this.before(signal);
      const path = join(folder, "seed.iso");
      seeds.set(path, structuredClone(seed));
      return path;
    },
    async compare(folder, seed) {
      const there = seeds.get(join(folder, "seed.iso"));
      if (there === undefined) return undefined;
      const files = seedFiles(there);
      const isSame = (wanted: IsoFile) =>
        files.some(({ name, content }) => {
          return name === wanted.name && Buffer.from(content).equals(wanted.content);
        });
      return differingFiles(seed, there.userData, isSame);
    },
    async read(folder) {
      return structuredClone(seeds.get(join(folder, "seed.iso")));
    },
    async find(folder) {
      const path = join(folder, "seed.iso");
      return seeds.has(path) ? path : undefined;
    },
    removeFolder(folder) {
      seeds.delete(join(folder, "seed.iso"));
    },
  };
}
