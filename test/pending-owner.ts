import { resources } from "../src/api/resources.ts";
import type { Residue } from "./world.ts";

/** The PENDING records with their content, by key. */
export function pendingRecords({ records }: Residue): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { pending } of resources) {
    if (pending?.state === undefined) continue;
    for (const [key, text] of Object.entries(records)) {
      if (!key.startsWith(pending.of.prefix)) continue;
      const record = pending.of.decode(Buffer.from(text, "latin1"));
      if (record.state === pending.state) found[key] = record;
    }
  }
  return found;
}
