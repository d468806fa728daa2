import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";

export const PROJECT = join(import.meta.dirname, "../..");
/** Results and bundles of what the sources are, and of nothing older. */
export const CACHE = join(PROJECT, ".cache/crash");

/** A run may still go on with a bundle that is not of the sources any more. */
const KEPT_MS = 24 * 3600 * 1000;

/** n0core as it is released. */
export interface Bundle {
  readonly main: string;
  /** Holds the compiled code of processes that ended well; one that is killed leaves none. */
  readonly compileCache: string;
}

/** Bundles n0core when its sources have changed: it starts in a third of the time that the sources take. */
export function bundle(): Bundle {
  const folder = join(CACHE, `n0core-${sourcesHash(["src"])}`);
  if (!existsSync(folder)) {
    const unfinished = `${folder}.${process.pid}`;
    mkdirSync(CACHE, { recursive: true });
    removeOld();
    execFileSync(process.execPath, ["scripts/build.ts", unfinished], { cwd: PROJECT });
    renameSync(unfinished, folder);
  }
  return { main: join(folder, "src/serve/main.mjs"), compileCache: join(folder, "compiled") };
}

function removeOld(): void {
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name);
    const isOld = Date.now() - statSync(path).mtimeMs > KEPT_MS;
    if (isOld && name.startsWith("n0core-")) rmSync(path, { recursive: true, force: true });
  }
}

/** Of what the folders hold, and of the packages; unit tests do not count. */
export function sourcesHash(folders: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of ["package-lock.json", "scripts/build.ts", ...folders.flatMap(filesBelow)]) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(PROJECT, path)))
      .update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(join(PROJECT, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !/\.(?:test|suite)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(PROJECT.length + 1))
    .sort();
}
