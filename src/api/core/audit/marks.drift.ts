import type { Drifts } from "../../../../test/drift.ts";
import { networkRef } from "../../../../test/refs.ts";
import { networks } from "../../network/network/collection.ts";

const transactionId = "dead";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "record.marked_without_transaction": {
    drift: async ({ read, write, changeMachine, changeDisk }) => {
      const network = await read(networks, networkRef("net"));
      await write(networks, [networkRef("net")], { ...network, transactionId });
      await changeMachine("web", { transactionId });
      await changeDisk("loose", { transactionId });
    },
    found: Array.from({ length: 3 }, () => "record.marked_without_transaction"),
  },
};
