import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCode } from "../util/errno.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { systemRandom } from "../util/random.ts";

const TOKEN_BYTES = 32;

/**
 * Makes sure that there is `<base directory>/token`, which the API, an agent and n0cli on one machine share.
 * It is there whole or not at all, whichever of the two servers makes it, and wherever that one dies.
 *
 * @param part Whose lock of the folder the caller has.
 * @returns its path.
 * @throws N0Error `failed_precondition` where it cannot be made.
 */
export function ensureOwnToken(baseDirectory: string, part: "api" | "agent", log: Log): string {
  const path = join(baseDirectory, "token");
  const fresh = `${path}.${part}.new`;
  try {
    // What an earlier start left that died.
    rmSync(fresh, { force: true });
    if (existsSync(path)) return path;
    writeDurably(fresh, `${systemRandom.token(TOKEN_BYTES)}\n`);
    const isMade = linkUnlessThere(fresh, path);
    rmSync(fresh);
    flush(dirname(path));
    if (isMade) log.info("made the token that clients must send", { file: path });
    return path;
  } catch (cause) {
    throw new N0Error("failed_precondition", `token file ${path}: cannot be made`, { cause });
  }
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** False where the other server was quicker. */
function linkUnlessThere(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    return false;
  }
}

function flush(folder: string): void {
  const file = openSync(folder, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
