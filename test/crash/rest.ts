import { setTimeout as sleep } from "node:timers/promises";
import type { Expectation } from "./cases.ts";
import type { Cluster } from "./cluster.ts";
import { difference, type Look, look, openTransactions } from "./look.ts";

/** How long recovery and undos may take until nothing changes any more. */
export const REST_TIMEOUT_MS = 40_000;
const POLL_MS = 100;

export interface End {
  readonly now: Look;
  readonly isAfter: boolean;
  readonly leftovers: readonly string[];
}

/**
 * Waits until no transaction is open and everything is as the case expects, with a time limit.
 *
 * @throws Error if a transaction is still open then.
 */
export async function comeToRest(
  cluster: Cluster,
  expectation: Expectation,
  before: Look,
  after: Look,
): Promise<End> {
  const endMs = performance.now() + REST_TIMEOUT_MS;
  for (;;) {
    // While something is being undone, a thing may disappear while it is read.
    const open = openTransactions(cluster);
    if (open.length === 0) {
      const now = await look(cluster);
      const end = judge(expectation, before, now, after);
      if (end.leftovers.length === 0 || performance.now() > endMs) return end;
    } else if (performance.now() > endMs) {
      throw new Error(`transactions are still open: ${open.join()}`);
    }
    await sleep(POLL_MS);
  }
}

function judge(expectation: Expectation, before: Look, now: Look, after: Look): End {
  // A transaction that died before the pivot changes not even an id. New things have new ids.
  const fromBefore = difference(before, now, false);
  const fromAfter = difference(after, now, true);
  const isBefore = fromBefore.length === 0;
  const isExpected =
    expectation === "consistent" ||
    (isBefore && expectation !== "after") ||
    (fromAfter.length === 0 && expectation !== "before");
  const changes = expectation === "after" ? fromAfter : fromBefore;
  const unrest = [...now.open, ...now.findings];
  return { now, isAfter: !isBefore, leftovers: [...unrest, ...(isExpected ? [] : changes)] };
}
