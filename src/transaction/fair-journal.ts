import type { Admission } from "./admission.ts";
import type { Journal } from "./journal.ts";
import type { LiveTransactions } from "./live.ts";
import { Turns } from "./turns.ts";

/** Writes at a time. All of them share one durable write. */
const WRITES_MAX = 64;
/** The same while a project with few requests is next to one with many. */
const WRITES_MAX_BESIDE_QUIET = 2;
/** What goes on in one turn of the event loop after its write: each takes about a millisecond. */
const PER_LOOP_TURN = 8;
const PER_LOOP_TURN_BESIDE_QUIET = 2;

export function newTurns(admission: Pick<Admission, "hasQuiet">): Turns {
  return new Turns({
    most: () => (admission.hasQuiet ? WRITES_MAX_BESIDE_QUIET : WRITES_MAX),
    perLoopTurn: () => (admission.hasQuiet ? PER_LOOP_TURN_BESIDE_QUIET : PER_LOOP_TURN),
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
