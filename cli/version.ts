import { readFileSync } from "node:fs";

/** Read, not imported: a bundle has the same file two folders up or beside it. */
export function clientVersion(): string {
  for (const path of ["../package.json", "./package.json"]) {
    try {
      const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        version?: string;
      };
      if (version !== undefined) return version;
    } catch {
      // Not there: the next place is tried.
    }
  }
  return "unknown";
}
