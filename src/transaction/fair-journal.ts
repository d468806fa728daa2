import type { Admission } from "./admission.ts";
import type { Journal } from "./journal.ts";
import type { LiveTransactions } from "./live.ts";
import { Turns } from "./turns.ts";

/**
 * Writes at a time. All of them share one durable write, and what follows them runs in one turn of the event
 * loop, for which each new request waits.
 */
const WRITES_MAX = 64;
/** The same while a project with few requests is next to one with many. Each project has its turn. */
const WRITES_MAX_BESIDE_QUIET = 2;

export function newTurns(admission: Pick<Admission, "projects" | "hasQuiet">): Turns {
  return new Turns(() => {
    if (!admission.hasQuiet) return WRITES_MAX;
    return Math.min(WRITES_MAX, Math.max(WRITES_MAX_BESIDE_QUIET, admission.projects));
  });
}

/**
 * The same journal, whose writes after a failure and after a commit take turns. The others take theirs before
 * their records are computed: see `Transaction` and docs/adr/0051.
 */
export function fairJournal<W>(
  journal: Journal<W>,
  live: Pick<LiveTransactions, "find">,
  turns: Turns,
): Journal<W> {
  const inTurn = (id: string, write: () => Promise<number>) =>
    turns.run(live.find(id)?.header.project ?? "", write);
  return {
    ...journal,
    stepUndone: (id, row) => inTurn(id, () => journal.stepUndone(id, row)),
    retriableDone: (id, row) => inTurn(id, () => journal.retriableDone(id, row)),
    update: (header, besides) => inTurn(header.id, () => journal.update(header, besides)),
  };
}
