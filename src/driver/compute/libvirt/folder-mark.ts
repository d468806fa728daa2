import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Mark } from "../../mark.ts";

const FILE = "owner.json";

const markSchema = z.object({ owner: z.string(), transactionId: z.string() });

/**
 * Makes the folder of a machine if it is not there, with its mark in `owner.json`. A mark that is there
 * stays. It is not forced to the disk: a folder whose mark a power cut took is nobody's.
 */
export function ensureMarkedFolder(folder: string, { owner, transactionId }: Mark): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const path = join(folder, FILE);
  if (existsSync(path)) return;
  const partial = join(folder, `.${FILE}.partial`);
  writeFileSync(partial, `${JSON.stringify({ owner, transactionId })}\n`);
  renameSync(partial, path);
}

/** Undefined where there is no folder, or one that does not tell who made it. */
export function readFolderMark(folder: string): Mark | undefined {
  const path = join(folder, FILE);
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, "utf8");
  try {
    return markSchema.parse(JSON.parse(text));
  } catch {
    // What a power cut left of it.
    return undefined;
  }
}
