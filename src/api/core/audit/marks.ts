import { objectKey } from "../../../datastore/key.ts";
import { formatRef } from "../../../util/ref.ts";
import type { Kind } from "../context.ts";
import { settledMarks } from "../saga/tasks/marks.ts";
import { defineAudit } from "./audit.ts";
import type { Codes } from "./codes.ts";
import type { Finding as FindingOf } from "./finding.ts";
import type { View } from "./view.ts";

const codes = {
  "record.marked_without_transaction": {
    rank: 61,
    severity: "error",
    means:
      "a record bears the id of a transaction that is not open, so nobody can use or change its object",
    repair: "takes the id off",
  },
} as const satisfies Codes;

type Finding = FindingOf<keyof typeof codes>;

/** Objects that are marked as those of a transaction. A PENDING one has a code of its own. */
export const markAudit = defineAudit({
  codes,
  compare: async (view: View) =>
    view.isWanted("") ? view.api.kinds.flatMap((kind) => leftMarked(view, kind)) : [],
});

function leftMarked({ records }: View, { pending }: Kind): Finding[] {
  if (pending === undefined) return [];
  return records.list(pending.of).flatMap(({ key, value: { state, transactionId } }) => {
    const isPending = pending.state !== undefined && state === pending.state;
    if (transactionId === "" || isPending) return [];
    if (records.open.some(({ id }) => id === transactionId)) return [];
    const ref = pending.of.refOf(key);
    return [
      {
        code: "record.marked_without_transaction",
        resource: formatRef(ref),
        nodeName: "",
        expected: "no transaction",
        found: `transaction "${transactionId}"`,
        keys: [objectKey(ref)],
        repair: async (tx) =>
          await tx.commit(await settledMarks(tx.context.api, transactionId, [key])),
      },
    ];
  });
}
