import { open } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes the names in the folder of `path` durable. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}
