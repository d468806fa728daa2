import type { Clock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";

/** Timers of Node cannot be longer. */
const TIMER_MS_MAX = 20 * 24 * 3_600_000;

/** Signals that abort at a time, one for each second. So the number of timers does not grow with that of tokens. */
export function newEnds(clock: Clock, shutdown: AbortSignal): (atMs: number) => AbortSignal {
  const ends = new Map<number, AbortSignal>();
  return (atMs) => {
    const nowMs = clock.nowMs();
    const second = Math.ceil(Math.min(atMs, nowMs + TIMER_MS_MAX) / 1000);
    const known = ends.get(second);
    if (known !== undefined) return known;
    const end = new AbortController();
    ends.set(second, end.signal);
    clock.sleep(Math.max(0, second * 1000 - nowMs), shutdown).then(
      () => {
        ends.delete(second);
        end.abort(new N0Error("unauthenticated", "the token of this call has expired"));
      },
      () => {},
    );
    return end.signal;
  };
}
