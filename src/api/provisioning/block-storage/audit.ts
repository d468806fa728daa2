import { defineAudit } from "../../core/audit/audit.ts";
import { sharedCodes } from "../../core/audit/codes.ts";
import { answered, type View } from "../../core/audit/view.ts";
import type { Api } from "../context.ts";
import { codes } from "./audit/codes.ts";
import { compareRecords } from "./audit/records.ts";
import { compareStorages } from "./audit/storages.ts";
import { compareVolumes } from "./audit/volumes.ts";

/** Block storages, their reservations, and their files on the nodes. */
export const blockStorageAudit = defineAudit({
  codes: { ...codes, ...sharedCodes },
  compare: async (view: View<Api>) => [
    ...compareRecords(view),
    ...compareStorages(view),
    ...answered(view).flatMap(compareVolumes),
  ],
});
