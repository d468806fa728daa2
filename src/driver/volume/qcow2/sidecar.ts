import { open, readFile } from "node:fs/promises";
import { z } from "zod";
import { ifThere } from "../../../util/errno.ts";

const sidecarSchema = z.object({
  /** Checked strictly, so that no foreign `.json` beside the volumes counts as a sidecar. */
  kind: z.literal("n0stack-volume/1"),
  mark: z.object({ owner: z.string(), transactionId: z.string() }),
  baseId: z.string().optional(),
  /** The size that was requested at the making, for people. The header of the file has the real size. */
  createdSizeBytes: z.string(),
});

export type Sidecar = z.infer<typeof sidecarSchema>;

export const SIDECAR_KIND = "n0stack-volume/1";

/** `unreadable` for a file with other content, or one that a crash cut short. */
export async function readSidecar(path: string): Promise<Sidecar | "unreadable" | undefined> {
  const text = await ifThere(readFile(path, "utf8"));
  if (text === undefined) return undefined;
  try {
    const parsed = sidecarSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : "unreadable";
  } catch {
    // It is not JSON.
    return "unreadable";
  }
}

export async function writeSidecar(path: string, sidecar: Sidecar): Promise<void> {
  await using file = await open(path, "w", 0o600);
  await file.writeFile(`${JSON.stringify(sidecar)}\n`);
  await file.sync();
}
