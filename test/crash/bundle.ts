import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { sourcesHash } from "../../scripts/sources-hash.ts";

export const PROJECT = join(import.meta.dirname, "../..");
/** Results and bundles of the present sources only. */
export const CACHE = join(PROJECT, ".cache/crash");

/** A run may still use a bundle of older sources. */
const KEPT_MS = 24 * 3600 * 1000;

/** n0core as it is released. */
export interface Bundle {
  readonly main: string;
  /** The compiled code of processes that ended well. A killed process leaves none. */
  readonly compileCache: string;
}

/** Bundles n0core if its sources have changed. The bundle starts in a third of the time of the sources. */
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
