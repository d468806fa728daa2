import { setTimeout as sleep } from "node:timers/promises";
import type { Expectation } from "./cases.ts";
import type { Cluster } from "./cluster.ts";
import { difference, type Look, look, openTransactions } from "./look.ts";

/** How long recovery and undos may take until nothing moves any more. */
export const REST_TIMEOUT_MS = 40_000;
const POLL_MS = 100;

export interface End {
  readonly now: Look;
  readonly isAfter: boolean;
  readonly leftovers: readonly string[];
}

/**
 * Waits until nothing is open and all is as the case expects it, or for too long.
 *
 * @throws Error when something is open even then.
 */
export async function comeToRest(
  cluster: Cluster,
  expectation: Expectation,
  before: Look,
  after: Look,
): Promise<End> {
  const endMs = performance.now() + REST_TIMEOUT_MS;
  for (;;) {
    // While something is being undone, what is looked at may go meanwhile.
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
  // What died before the pivot leaves not even an id changed; what is new has ids of its own.
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
