import { access, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { N0Error } from "../../util/errors.ts";
import { SEED_LABEL, seedFiles } from "./cloud-init.ts";
import { isoImage, SECTOR_BYTES } from "./iso9660.ts";
import type { SeedDriver } from "./seed-driver.ts";

/** Writes `<folder>/seed.iso`, by way of `<folder>/.seed.iso.partial`. Makes the folder if it is not there. */
export function newIsoSeedDriver(): SeedDriver {
  return {
    async ensure(folder, seed, signal) {
      signal.throwIfAborted();
      const path = join(folder, "seed.iso");
      const image = isoImage(SEED_LABEL, seedFiles(seed));
      await mkdir(folder, { recursive: true });
      if (await holds(path, image)) return path;
      await replace(path, join(folder, ".seed.iso.partial"), image, signal);
      return path;
    },

    async compare(folder, seed) {
      const image = await readSeed(join(folder, "seed.iso"));
      if (image === undefined) return undefined;
      const differing = seedFiles(seed).filter(({ content }) => !image.includes(extent(content)));
      return differing.map(({ name }) => name);
    },

    async find(folder) {
      const path = join(folder, "seed.iso");
      try {
        await access(path);
        return path;
      } catch (reason) {
        if (reason instanceof Error && "code" in reason && reason.code === "ENOENT")
          return undefined;
        throw reason;
      }
    },
  };
}

/** A file lies in the image as it is, in one piece, with zeros up to the next sector. */
function extent(content: Uint8Array): Buffer {
  const isFull = content.length % SECTOR_BYTES === 0;
  return isFull ? Buffer.from(content) : Buffer.concat([content, Buffer.alloc(1)]);
}

async function readSeed(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (reason) {
    if (reason instanceof Error && "code" in reason && reason.code === "ENOENT") return undefined;
    throw reason;
  }
}

async function holds(path: string, image: Uint8Array): Promise<boolean> {
  try {
    return (await readFile(path)).equals(image);
  } catch {
    // Not there, or not readable: either way it is written anew, and that says what is wrong.
    return false;
  }
}

async function replace(path: string, partial: string, image: Uint8Array, signal: AbortSignal) {
  try {
    await using file = await open(partial, "w", 0o644);
    await file.writeFile(image, { signal });
    await file.sync();
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true });
    if (cause instanceof Error && "code" in cause && cause.code === "ENOSPC") {
      throw new N0Error("resource_exhausted", "the node's disk is full", { cause });
    }
    throw cause;
  }
  await syncFolder(join(path, ".."));
}

/** Makes a rename in it outlive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}
