import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../util/errno.ts";
import { N0Error } from "../../util/errors.ts";
import { partsOfUserData } from "../../util/user-data.ts";
import { isRegular, readRegular } from "../file/regular-file.ts";
import { replaceFile } from "../file/replace-file.ts";
import { differingFiles, SEED_LABEL, seedFiles } from "./cloud-init.ts";
import { isoImage, SECTOR_BYTES } from "./iso9660.ts";
import { readIsoFiles } from "./iso9660-reader.ts";
import { seedIn } from "./read-seed.ts";
import type { Seed, SeedDriver } from "./seed-driver.ts";

/** Images of 48 KiB and their user data: a guest that boots reads its own many times, and to parse it takes longer than all the rest. */
const REMEMBERED_MAX = 32;

/**
 * Writes `<folder>/seed.iso`, readable by root and, while the virtual machine runs, by QEMU. Makes the folder
 * unless it exists.
 */
export function newIsoSeedDriver(): SeedDriver {
  const lastRead = new Map<string, { readonly image: Buffer; readonly seed: Seed | undefined }>();
  return {
    async ensure(folder, seed, signal) {
      signal.throwIfAborted();
      const path = join(folder, "seed.iso");
      const image = isoImage(SEED_LABEL, seedFiles(seed));
      await mkdir(folder, { recursive: true });
      if (await holds(path, image)) return path;
      await write(path, image, signal);
      return path;
    },

    async compare(folder, seed) {
      const image = await readRegular(join(folder, "seed.iso"));
      if (image === undefined) return undefined;
      const there = readIsoFiles(image)?.get("user-data")?.toString("utf8") ?? "";
      return differingFiles(seed, partsOfUserData(there)?.theirs, ({ content }) =>
        image.includes(extent(content)),
      );
    },

    async read(folder) {
      const image = await readRegular(join(folder, "seed.iso"));
      const last = lastRead.get(folder);
      lastRead.delete(folder);
      if (image === undefined) return undefined;
      const seed = last?.image.equals(image) === true ? last.seed : seedOf(image);
      if (lastRead.size >= REMEMBERED_MAX) lastRead.delete([...lastRead.keys()][0]!);
      lastRead.set(folder, { image, seed });
      return seed;
    },
    async find(folder) {
      const path = join(folder, "seed.iso");
      return isRegular(path) ? path : undefined;
    },
  };
}

function seedOf(image: Buffer): Seed | undefined {
  const files = readIsoFiles(image);
  return files === undefined ? undefined : seedIn(files);
}

/** A file lies in the image unchanged, in one piece, with zeros up to the next sector. */
function extent(content: Uint8Array): Buffer {
  const isFull = content.length % SECTOR_BYTES === 0;
  return isFull ? Buffer.from(content) : Buffer.concat([content, Buffer.alloc(1)]);
}

/** False also if it cannot be read: then it is written again, and that call reports the fault. */
async function holds(path: string, image: Uint8Array): Promise<boolean> {
  const there = await readRegular(path).catch(() => undefined);
  return there?.equals(image) ?? false;
}

async function write(path: string, image: Uint8Array, signal: AbortSignal): Promise<void> {
  try {
    await replaceFile(path, image, signal);
  } catch (cause) {
    if (errorCode(cause) === "ENOSPC") {
      throw new N0Error("resource_exhausted", "the node's disk is full", { cause });
    }
    throw cause;
  }
}
