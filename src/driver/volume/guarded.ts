import { systemClock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import { orAborted, within } from "../../util/race.ts";

export interface GuardOptions {
  /** The longest wait for the next bytes. */
  readonly idleTimeoutMs: number;
  /** The smallest amount in a time of waiting. Default: 60 KiB in a minute. */
  readonly leastRate?: LeastRate;
  readonly signal: AbortSignal;
}

export interface LeastRate {
  readonly bytes: number;
  readonly withinMs: number;
}

const LEAST_RATE: LeastRate = { bytes: 60 * 1024, withinMs: 60_000 };

/**
 * The same chunks. Ends with an error if the signal aborts, if no chunk comes for too long, or if the chunks
 * are so small that they would never end. Time in which nobody reads does not count.
 *
 * @throws N0Error `unavailable` if the source stops sending, or sends too little.
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
    // Not awaited: if the source hangs in `next`, this would hang too. The source ends by itself.
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
