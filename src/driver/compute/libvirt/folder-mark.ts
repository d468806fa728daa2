import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { nameOnNode, parseRef } from "../../../util/ref.ts";
import { readRegularSync } from "../../file/regular-file.ts";
import { replaceFileSync } from "../../file/replace-file.ts";
import type { Mark } from "../../mark.ts";
import { folderName, isFolderName } from "./domain-paths.ts";
import { takeMachineFolder } from "./machine-folder.ts";

const FILE = "owner.json";

/**
 * Makes the folder of a virtual machine if it is not there, with its mark in `owner.json`. A mark that is
 * there stays. It is not forced to the disk: a folder whose mark a power cut took is nobody's.
 */
export function ensureMarkedFolder(folder: string, { owner, transactionId }: Mark): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  takeMachineFolder(folder);
  const path = join(folder, FILE);
  if (existsSync(path)) return;
  replaceFileSync(path, Buffer.from(`${JSON.stringify({ owner, transactionId })}\n`));
}

/** The folders that tell who made them, by name. What tells of nobody is not ours to speak of. */
export function listMarkedFolders(
  parent: string,
): { readonly name: string; readonly mark: Mark }[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent).flatMap((folder) => {
    const mark = isFolderName(folder) ? readFolderMark(join(parent, folder)) : undefined;
    return mark === undefined ? [] : [{ name: machineOf(folder, mark), mark }];
  });
}

/** Its name on the node. A folder that has a checksum for it tells it in its mark alone. */
function machineOf(folder: string, { owner }: Mark): string {
  const ref = parseRef(owner);
  const name = ref === undefined ? folder : nameOnNode(ref);
  return folderName(name) === folder ? name : folder;
}

/** Undefined where there is no folder, or one that does not tell who made it. */
export function readFolderMark(folder: string): Mark | undefined {
  const bytes = readRegularSync(join(folder, FILE));
  if (bytes === undefined) return undefined;
  try {
    return toMark(JSON.parse(bytes.toString("utf8")));
  } catch {
    // What a power cut left of it.
    return undefined;
  }
}

/** By hand: the threads that talk to libvirt would each load zod for these two fields, 6 MB. */
function toMark(value: unknown): Mark | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!("owner" in value) || typeof value.owner !== "string") return undefined;
  if (!("transactionId" in value) || typeof value.transactionId !== "string") return undefined;
  const { owner, transactionId } = value;
  return { owner, transactionId };
}
