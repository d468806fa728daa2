import { existsSync, linkSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCode } from "../util/errno.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { systemRandom } from "../util/random.ts";
import { flushFolder, writeDurably } from "./durable-file.ts";

const TOKEN_BYTES = 32;

/**
 * Makes `<base directory>/token` if it does not exist. The API, an agent and n0cli on one node share it. It
 * exists completely or not at all, whichever server makes it, and wherever that server dies.
 *
 * @param part The part whose lock of the folder the caller has.
 * @returns its path.
 * @throws N0Error `failed_precondition` if it cannot be made.
 */
export function ensureOwnToken(baseDirectory: string, part: "api" | "agent", log: Log): string {
  const path = join(baseDirectory, "token");
  const fresh = `${path}.${part}.new`;
  try {
    // The remains of an earlier start that died.
    rmSync(fresh, { force: true });
    if (existsSync(path)) return path;
    writeDurably(fresh, `${systemRandom.token(TOKEN_BYTES)}\n`);
    const isMade = linkUnlessThere(fresh, path);
    rmSync(fresh);
    flushFolder(dirname(path));
    if (isMade) log.info("made the token that clients must send", { file: path });
    return path;
  } catch (cause) {
    throw new N0Error("failed_precondition", `token file ${path}: cannot be made`, { cause });
  }
}

/** False if the other server was faster. */
function linkUnlessThere(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    return false;
  }
}
