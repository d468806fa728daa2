import { remove } from "../../../datastore/collection.ts";
import { openCollection } from "../../../datastore/datastore-journal.ts";
import { keyText } from "../../../datastore/key.ts";
import { defineAudit } from "../../core/audit/audit.ts";
import type { Codes } from "../../core/audit/codes.ts";
import type { Finding as FindingOf, Repair } from "../../core/audit/finding.ts";
import type { View } from "../../core/audit/view.ts";

const codes = {
  "transaction.needs_operator": {
    rank: 40,
    severity: "error",
    means:
      "a transaction can go neither back nor forward; verify does not look at the objects that it guards",
    byHand:
      "repair what its error names, then n0cli tx retry with its id; or give up the step with n0cli tx give-up",
  },
  "transaction.left_over": {
    rank: 50,
    severity: "notice",
    means: "a transaction is marked as open, and is at rest or forgotten",
    repair: "removes the mark",
  },
} as const satisfies Codes;

type Finding = FindingOf<keyof typeof codes>;

export const transactionAudit = defineAudit({
  codes,
  compare: async (view: View) => (view.isWanted("") ? [...stuck(view), ...openMarks(view)] : []),
});

function stuck({ records }: View): Finding[] {
  return records.open.flatMap(({ id, kind, state, error = "", guards }) =>
    state !== "needs_operator"
      ? []
      : [
          {
            code: "transaction.needs_operator" as const,
            resource: `transaction/${id}`,
            nodeName: "",
            expected: `${kind} of ${guards.map(keyText).join(", ")} at rest`,
            found: error === "" ? "needs an operator" : error,
            keys: [],
          },
        ],
  );
}

/** One batch writes a mark with its header, so only damage separates them. */
function openMarks({ records }: View): Finding[] {
  return records.openMarks.flatMap((id) =>
    records.open.some((header) => header.id === id)
      ? []
      : [
          {
            code: "transaction.left_over" as const,
            resource: `transaction/${id}`,
            nodeName: "",
            expected: "no mark",
            found: "a mark that it is open",
            keys: [],
            madeBy: id,
            repair: closeTransaction(id),
          },
        ],
  );
}

function closeTransaction(id: string): Repair {
  return (tx) => tx.commit(remove(openCollection, id));
}
