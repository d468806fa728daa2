import { open, readFile } from "node:fs/promises";
import { z } from "zod";
import { ifThere } from "../../../util/errno.ts";

const sidecarSchema = z.object({
  /** Of this very shape, so that a foreign `.json` beside the volumes is not taken for one. */
  kind: z.literal("n0stack-volume/1"),
  mark: z.object({ owner: z.string(), transactionId: z.string() }),
  baseId: z.string().optional(),
  /** What was asked for when it was made, for people; the file's own header says what is. */
  createdSizeBytes: z.string(),
});

export type Sidecar = z.infer<typeof sidecarSchema>;

export const SIDECAR_KIND = "n0stack-volume/1";

/** `unreadable` for a file that holds something else, or was cut short by a crash. */
export async function readSidecar(path: string): Promise<Sidecar | "unreadable" | undefined> {
  const text = await ifThere(readFile(path, "utf8"));
  if (text === undefined) return undefined;
  try {
    const parsed = sidecarSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : "unreadable";
  } catch {
    // Not JSON.
    return "unreadable";
  }
}

export async function writeSidecar(path: string, sidecar: Sidecar): Promise<void> {
  await using file = await open(path, "w", 0o600);
  await file.writeFile(`${JSON.stringify(sidecar)}\n`);
  await file.sync();
}
