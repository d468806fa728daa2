import { locksSuite } from "../transaction/locks.suite.ts";
import { LockTable } from "./lock-table.ts";

locksSuite({
  name: "locks in memory",
  open: async (waitersMax) => {
    const table = new LockTable(waitersMax);
    return { first: table.of("one"), second: table.of("two"), close: async () => {} };
  },
});
