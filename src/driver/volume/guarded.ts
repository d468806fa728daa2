import { systemClock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import { orAborted, within } from "../../util/race.ts";

export interface GuardOptions {
  /** Longest wait for the next bytes. */
  readonly idleTimeoutMs: number;
  /** The least that must come in a time of waiting. Default 60 KiB in a minute. */
  readonly leastRate?: LeastRate;
  readonly signal: AbortSignal;
}

export interface LeastRate {
  readonly bytes: number;
  readonly withinMs: number;
}

const LEAST_RATE: LeastRate = { bytes: 60 * 1024, withinMs: 60_000 };

/**
 * The same chunks; ends with an error once the signal aborts, no chunk comes for too long, or so little
 * that it would never end. The time in which nobody asks for more does not count.
 *
 * @throws N0Error `unavailable` when the source stops giving any, or gives too little.
 */
export async function* guarded(
  bytes: AsyncIterable<Uint8Array>,
  { signal, idleTimeoutMs, leastRate = LEAST_RATE }: GuardOptions,
): AsyncGenerator<Uint8Array> {
  let waitedMs = 0;
  let cameBytes = 0;
  const iterator = bytes[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const startMs = performance.now();
      const next = await within(
        systemClock,
        orAborted(iterator.next(), signal),
        idleTimeoutMs,
        () => {
          throw silent(idleTimeoutMs);
        },
      );
      if (next.done === true) {
        isDone = true;
        return;
      }
      waitedMs += performance.now() - startMs;
      cameBytes += next.value.length;
      if (waitedMs >= leastRate.withinMs) {
        if (cameBytes < leastRate.bytes) throw tooSlow(cameBytes, waitedMs);
        waitedMs = 0;
        cameBytes = 0;
      }
      yield next.value;
    }
  } finally {
    // Not awaited: a source that hangs in `next` would hang here too. Its own end is its own affair.
    if (!isDone) iterator.return?.().catch(() => {});
  }
}

function silent(ms: number): N0Error {
  return new N0Error("unavailable", `the source gave no bytes for ${ms / 1000} s`);
}

function tooSlow(bytes: number, ms: number): N0Error {
  const seconds = Math.round(ms / 100) / 10;
  return new N0Error("unavailable", `the source gave only ${bytes} bytes in ${seconds} s`);
}
