import { seedFiles } from "../../driver/seed/cloud-init.ts";
import type { Seed } from "../../driver/seed/seed-driver.ts";
import { type Folder, folder } from "./tree.ts";

/** What the seed has, and `vendor-data`, for which cloud-init asks too. */
export function noCloud(seed: Seed): Folder {
  const files = seedFiles(seed).map(({ name, content }) => [name, Buffer.from(content).toString()]);
  return folder({ ...Object.fromEntries(files), "vendor-data": "" });
}
