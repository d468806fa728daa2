import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failures } from "./run.ts";

/** Generates from proto/ into another folder and compares the result with the files in git. */
export async function checkGenerated(): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), "n0stack-gen-"));
  try {
    const generating = await failures("buf", "generate", "--output", folder);
    if (generating.length > 0) return generating;
    const different = await failures("diff", "-r", "-q", join(folder, "src/gen"), "src/gen");
    if (different.length === 0) return [];
    const lines = different.map((line) => line.replaceAll(folder, "generated now"));
    return ["src/gen differs from proto/: run npm run gen and commit it", ...lines];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
