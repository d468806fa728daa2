import { open, readFile, rename } from "node:fs/promises";
import { ifThere } from "../../src/util/errno.ts";
import { syncFolder } from "./local-files.ts";

/** The content that is downloaded, as the first message of the server identifies it. */
export interface Source {
  /** Identifies exactly these bytes of the whole. */
  readonly validator: string;
  readonly totalBytes: bigint;
}

/** The note beside a part. */
export interface PartNote extends Source {
  /** The inode of the part, as text: the note is not about a part that was made again or copied. */
  readonly inode: string;
  /** At least this many bytes from the start are safely on the disk. */
  readonly keptBytes: bigint;
}

const NOTE_KIND = "n0cli-part/1";

/** Writes the note completely or not at all, and durably. */
export async function writeNote(path: string, note: PartNote): Promise<void> {
  const text = JSON.stringify({
    kind: NOTE_KIND,
    inode: note.inode,
    validator: note.validator,
    total_bytes: `${note.totalBytes}`,
    kept_bytes: `${note.keptBytes}`,
  });
  const temporary = `${path}.new`;
  {
    await using file = await open(temporary, "w");
    await file.writeFile(`${text}\n`);
    await file.sync();
  }
  await rename(temporary, path);
  await syncFolder(path);
}

/** Undefined if there is no note, or an incomplete one. */
export async function readNote(path: string): Promise<PartNote | undefined> {
  const text = await ifThere(readFile(path, "utf8"));
  if (text === undefined) return undefined;
  try {
    return noteIn(JSON.parse(text));
  } catch {
    // Not JSON.
    return undefined;
  }
}

function noteIn(value: unknown): PartNote | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields: Partial<Record<string, unknown>> = { ...value };
  const { kind, inode, validator, total_bytes: total, kept_bytes: kept } = fields;
  if (kind !== NOTE_KIND || typeof inode !== "string" || typeof validator !== "string") {
    return undefined;
  }
  if (!isCount(total) || !isCount(kept)) return undefined;
  return { inode, validator, totalBytes: BigInt(total), keptBytes: BigInt(kept) };
}

function isCount(value: unknown): value is string {
  return typeof value === "string" && /^\d{1,20}$/.test(value);
}
