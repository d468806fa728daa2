import { existsSync, readFileSync, statSync } from "node:fs";
import type { z } from "zod";
import { N0Error } from "../util/errors.ts";

/**
 * Reads a JSON file that holds a key; undefined if it is not there.
 *
 * @param repair What to do with a damaged one.
 * @throws N0Error `failed_precondition` for a damaged file, and for one that others can read.
 */
export function readPrivateFile<T>(
  path: string,
  schema: z.ZodType<T>,
  repair: string,
): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    if ((statSync(path).mode & 0o077) === 0) {
      return schema.parse(JSON.parse(readFileSync(path, "utf8")));
    }
  } catch {
    // The error would show what the file holds, which is a key.
    throw new N0Error("failed_precondition", `${path} is damaged: ${repair}`);
  }
  throw new N0Error("failed_precondition", `others can read ${path}: run chmod 600 ${path}`);
}
