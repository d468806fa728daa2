import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The version of n0stack that this process runs. */
export function readVersion(): string {
  const text = readFileSync(join(import.meta.dirname, "../../package.json"), "utf8");
  const { version }: { version?: unknown } = JSON.parse(text);
  return typeof version === "string" ? version : "unknown";
}
