import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemRandom } from "../src/util/random.ts";

export interface TokenFile {
  readonly path: string;
  readonly token: string;
}

/** Makes `<base directory>/token` before a server does, which then uses it. */
export function newTokenFile(baseDirectory: string): TokenFile {
  const token = systemRandom.token(32);
  const path = join(baseDirectory, "token");
  mkdirSync(baseDirectory, { recursive: true });
  writeFileSync(path, `${token}\n`, { mode: 0o600, flag: "wx" });
  return { path, token };
}
