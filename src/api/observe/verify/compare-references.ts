import { putNew } from "../../../datastore/collection.ts";
import { objectKey } from "../../../datastore/key.ts";
import { referenceKeys, referenceOfKey, references } from "../../../datastore/references.ts";
import { formatRef } from "../../../util/ref.ts";
import { commit } from "./commit.ts";
import type { Finding } from "./finding.ts";
import { dropRecords } from "./repair-records.ts";
import type { View } from "./view.ts";

/** The records of who refers to what, against the objects. */
export function compareReferences({ api, records, isWanted }: View): Finding[] {
  if (!isWanted("")) return [];
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

function missing(key: string): Finding {
  const { from, to } = referenceOfKey(key);
  return {
    code: "reference.missing",
    resource: formatRef(from),
    nodeName: "",
    expected: `a reference to ${formatRef(to)}`,
    found: "nothing",
    keys: [objectKey(from)],
    repair: (tx) => commit(tx, putNew(references, references.parts(key), {})),
  };
}
