import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Undefined where there is nothing. */
export async function statOf(path: string) {
  try {
    return await stat(path, { bigint: true });
  } catch (reason) {
    if (isMissing(reason)) return undefined;
    throw reason;
  }
}

/** Makes the names in the folder of `path` outlive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}

export function isMissing(reason: unknown): boolean {
  return reason instanceof Error && "code" in reason && reason.code === "ENOENT";
}
