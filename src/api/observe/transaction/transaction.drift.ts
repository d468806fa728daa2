import type { Drifts } from "../../../../test/drift.ts";
import { vmRef } from "../../../../test/refs.ts";
import { openCollection, transactionCollection } from "../../../datastore/datastore-journal.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "transaction.needs_operator": {
    drift: async ({ write }) => {
      const header = {
        id: "stuck",
        kind: "DeleteVirtualMachine",
        guards: [virtualMachines.key(vmRef("gone"))],
        startedAtMs: 1,
        state: "needs_operator",
        isCommitted: true,
        error: "domain.remove: refused",
      } as const;
      await write(transactionCollection, ["stuck"], header);
      await write(openCollection, ["stuck"], {});
    },
    left: ["transaction.needs_operator"],
  },
  "transaction.left_over": {
    drift: ({ write }) => write(openCollection, ["forgotten"], {}),
  },
};
