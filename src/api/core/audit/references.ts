import { putNew } from "../../../datastore/collection.ts";
import { objectKey } from "../../../datastore/key.ts";
import {
  guardedBy,
  referenceGuards,
  referenceKeys,
  referenceOfKey,
  references,
} from "../../../datastore/references.ts";
import { formatRef } from "../../../util/ref.ts";
import { defineAudit } from "./audit.ts";
import type { Codes } from "./codes.ts";
import type { Finding as FindingOf } from "./finding.ts";
import { dropRecords } from "./repairs.ts";
import type { View } from "./view.ts";

const codes = {
  "reference.missing": {
    rank: 173,
    severity: "warning",
    means: "an object refers to another and has no record of that, so the other could be deleted",
    repair: "records the reference",
  },
  "reference.without_owner": {
    rank: 176,
    severity: "warning",
    means:
      "a record says that an object refers to another, which is wrong, so the other cannot be deleted",
    repair: "removes the record",
  },
  "reference_guard.without_owner": {
    rank: 178,
    severity: "notice",
    means: "a record guards an object that does not exist against new references",
    repair: "removes the record",
  },
} as const satisfies Codes;

type Finding = FindingOf<keyof typeof codes>;

/** Compares the records of references with the objects. */
export const referenceAudit = defineAudit({
  codes,
  compare: async (view: View) =>
    view.isWanted("") ? [...compareReferences(view), ...guardsOfNobody(view)] : [],
});

function compareReferences({ api, records }: View): Finding[] {
  const present = new Map(records.list(references).map((stored) => [stored.key, stored]));
  const wanted = new Set<string>();
  const findings: Finding[] = [];
  for (const { collection } of api.kinds) {
    for (const { key, value } of records.list(collection)) {
      for (const reference of referenceKeys(collection, key, value)) {
        wanted.add(reference);
        if (!present.has(reference)) findings.push(missing(reference));
      }
    }
  }
  for (const [key, stored] of present) {
    if (wanted.has(key)) continue;
    const { from, to } = referenceOfKey(key);
    findings.push({
      code: "reference.without_owner",
      resource: formatRef(from),
      nodeName: "",
      expected: "nothing",
      found: `a reference to ${formatRef(to)}`,
      keys: [objectKey(from)],
      repair: dropRecords([stored]),
    });
  }
  return findings;
}

function guardsOfNobody({ api, records }: View): Finding[] {
  return records.list(referenceGuards).flatMap((stored) => {
    const ref = guardedBy(stored.key);
    const { collection } = api.kinds.find(({ kind }) => kind === ref.kind) ?? {};
    if (collection !== undefined && records.find(collection, ref) !== undefined) return [];
    return [
      {
        code: "reference_guard.without_owner",
        resource: formatRef(ref),
        nodeName: "",
        expected: "nothing",
        found: stored.key,
        keys: [objectKey(ref)],
        repair: dropRecords([stored]),
      },
    ];
  });
}

function missing(key: string): Finding {
  const { from, to } = referenceOfKey(key);
  return {
    code: "reference.missing",
    resource: formatRef(from),
    nodeName: "",
    expected: `a reference to ${formatRef(to)}`,
    found: "nothing",
    keys: [objectKey(from)],
    repair: (tx) => tx.commit(putNew(references, references.parts(key), {})),
  };
}
