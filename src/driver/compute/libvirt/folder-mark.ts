import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { nameOnNode, parseRef } from "../../../util/ref.ts";
import { readRegularSync } from "../../file/regular-file.ts";
import { replaceFileSync } from "../../file/replace-file.ts";
import type { Mark } from "../../mark.ts";
import { takeDomainFolder } from "./domain-folder.ts";
import { folderName, isFolderName } from "./domain-paths.ts";

const FILE = "owner.json";

/**
 * Makes the folder of a virtual machine unless it exists, with its mark in `owner.json`. An existing mark does
 * not change. The mark is not synced to the disk: if a power cut destroys it, the folder belongs to nobody.
 */
export function ensureMarkedFolder(folder: string, { owner, transactionId }: Mark): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  takeDomainFolder(folder);
  const path = join(folder, FILE);
  if (existsSync(path)) return;
  replaceFileSync(path, Buffer.from(`${JSON.stringify({ owner, transactionId })}\n`));
}

/** The marked folders, by name. A folder without a mark counts as not ours. */
export function listMarkedFolders(
  parent: string,
): { readonly name: string; readonly mark: Mark }[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent).flatMap((folder) => {
    const mark = isFolderName(folder) ? readFolderMark(join(parent, folder)) : undefined;
    return mark === undefined ? [] : [{ name: nameOf(folder, mark), mark }];
  });
}

/**
 * The name of the virtual machine on the node. If the folder has a checksum for a name, only the mark holds the
 * name.
 */
function nameOf(folder: string, { owner }: Mark): string {
  const ref = parseRef(owner);
  const name = ref === undefined ? folder : nameOnNode(ref);
  return folderName(name) === folder ? name : folder;
}

/** Undefined if the folder does not exist or has no mark. */
export function readFolderMark(folder: string): Mark | undefined {
  const bytes = readRegularSync(join(folder, FILE));
  if (bytes === undefined) return undefined;
  try {
    return toMark(JSON.parse(bytes.toString("utf8")));
  } catch {
    // A power cut left this.
    return undefined;
  }
}

/** By hand: each of the threads that talk to libvirt would load zod for these two fields, 6 MB. */
function toMark(value: unknown): Mark | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!("owner" in value) || typeof value.owner !== "string") return undefined;
  if (!("transactionId" in value) || typeof value.transactionId !== "string") return undefined;
  const { owner, transactionId } = value;
  return { owner, transactionId };
}
