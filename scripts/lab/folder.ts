import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ifThereSync } from "../../src/util/errno.ts";
import { Failure } from "../run-program.ts";
import { PROJECT } from "./lab.ts";

/** A file that says that a folder is a lab's, and so that `down` may remove it. */
const MARK = "n0stack-lab";
/** Hosts have folders of their own in their place. */
const HIDDEN = /^\/(?:run|proc|sys|var\/lib)(?:\/|$)/;

/** @throws Failure if the folder holds something else, or if hosts could not see it. */
export function ensureLabFolder(folder: string): void {
  for (const path of [folder, PROJECT]) {
    if (HIDDEN.test(path)) {
      throw new Failure(`${path}: hosts have folders of their own there; use a place elsewhere`);
    }
  }
  if (isLabFolder(folder)) return;
  if ((ifThereSync(() => readdirSync(folder)) ?? []).length > 0) {
    throw new Failure(`${folder} is not empty and not a lab; name another with --folder`);
  }
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, MARK), "npm run lab -- down removes this folder\n");
}

/** Removes the folder of a lab, or an empty one. @throws Failure if something is mounted in it. */
export function removeLabFolder(folder: string): void {
  if (!existsSync(folder)) return;
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const inside = mounts
    .map((line) => line.split(" ")[4] ?? "")
    .find((at) => at.startsWith(`${folder}/`));
  if (inside !== undefined) throw new Failure(`${inside} is mounted; unmount it, then try again`);
  if (readdirSync(folder).length === 0) return rmdirSync(folder);
  if (!isLabFolder(folder)) return;
  // The mark is the last to go, so that this can be repeated.
  for (const name of readdirSync(folder).filter((other) => other !== MARK)) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  rmSync(folder, { recursive: true, force: true });
}

export function isLabFolder(folder: string): boolean {
  return existsSync(join(folder, MARK));
}
