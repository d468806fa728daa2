import { mkdirSync, readdirSync, readlinkSync, rmdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { errorCode, ifThereSync } from "../../src/util/errno.ts";
import { Failure } from "../run-program.ts";
import type { Lab } from "./lab.ts";

/**
 * One link for each lab of this computer, from its number to its folder. It is made before everything else of the
 * lab and removed after it, whole or not at all. So it leads to everything that a lab has made, whatever died, and
 * even if somebody has deleted the folder.
 */
const CLAIMS = "/run/n0stack-lab";
/** The third byte of its addresses. */
const NUMBER_MAX = 254;

export function findLab(folder: string): Lab | undefined {
  const numbers = ifThereSync(() => readdirSync(CLAIMS)) ?? [];
  const number = numbers.find((name) => folderOf(name) === folder);
  return number === undefined ? undefined : { folder, number: Number(number) };
}

/** The lab of this folder. Takes the lowest free number if it has none. */
export function claimLab(folder: string): Lab {
  const found = findLab(folder);
  if (found !== undefined) return found;
  mkdirSync(CLAIMS, { recursive: true });
  for (let number = 1; number <= NUMBER_MAX; number++) {
    try {
      symlinkSync(folder, join(CLAIMS, String(number)));
      return { folder, number };
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }
  throw new Failure(
    `${CLAIMS} has ${NUMBER_MAX} labs; take one down, or remove the links of old ones`,
  );
}

/** The lab must have nothing left. */
export function releaseLab({ number }: Lab): void {
  rmSync(join(CLAIMS, String(number)), { force: true });
  try {
    rmdirSync(CLAIMS);
  } catch (error) {
    // Another lab has its link there, or has removed the folder.
    if (!["ENOTEMPTY", "ENOENT"].includes(errorCode(error) ?? "")) throw error;
  }
}

function folderOf(number: string): string | undefined {
  return ifThereSync(() => readlinkSync(join(CLAIMS, number)));
}
