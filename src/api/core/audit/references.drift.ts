import { type Drifts, GHOST_OWNER, WEB } from "../../../../test/drift.ts";
import { referenceGuards, references } from "../../../datastore/references.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "reference.missing": {
    drift: ({ drop }) => drop(references, "user", "default", "alice", ...WEB),
  },
  "reference.without_owner": {
    drift: ({ write }) => write(references, ["user", "default", "alice", ...GHOST_OWNER], {}),
  },
  "reference_guard.without_owner": {
    drift: ({ write }) => write(referenceGuards, ["user", "default", "ghost"], {}),
  },
};
