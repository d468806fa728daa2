import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, renameSync, rmSync, writeSync } from "node:fs";
import { open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/**
 * Only root may read these files, which hold keys and addresses. libvirt hands QEMU the files that QEMU needs.
 */
const MODE = 0o600;
/** Fails if the name exists, also as a link. */
const NEW = "wx";
const TOKEN_BYTES = 9;

/**
 * Writes a file whole or not at all, by way of `.<name>.<random>.partial` beside it, and makes the result
 * outlive a power cut. Replaces anything at its path, also a link, and removes what earlier attempts left.
 */
export async function replaceFile(
  path: string,
  content: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const folder = dirname(path);
  const partial = newPartial(path);
  for (const left of leftOf(path, await readdir(folder))) await rm(left, { force: true });
  try {
    await using file = await open(partial, NEW, MODE);
    await file.writeFile(content, { signal });
    await file.sync();
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true });
    throw cause;
  }
  await using handle = await open(folder, "r");
  await handle.sync();
}

/** Like `replaceFile`, synchronous, for threads that block anyway. A power cut may undo it. */
export function replaceFileSync(path: string, content: Uint8Array): void {
  const partial = newPartial(path);
  for (const left of leftOf(path, readdirSync(dirname(path)))) rmSync(left, { force: true });
  try {
    const file = openSync(partial, NEW, MODE);
    try {
      for (let at = 0; at < content.length; ) at += writeSync(file, content, at);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } catch (cause) {
    rmSync(partial, { force: true });
    throw cause;
  }
}

function newPartial(path: string): string {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  return join(dirname(path), `.${basename(path)}.${token}.partial`);
}

/**
 * Only one process at a time writes a file. So a file with the name of an attempt belongs to an attempt that
 * died.
 */
function leftOf(path: string, names: readonly string[]): string[] {
  return names
    .filter((name) => name.startsWith(`.${basename(path)}.`) && name.endsWith(".partial"))
    .map((name) => join(dirname(path), name));
}
