import { type Clock, systemClock } from "../src/util/clock.ts";

export interface ShiftingClock extends Clock {
  /** Time goes on from `ms` later. Who sleeps is not woken by it. */
  shiftMs(ms: number): void;
}

/** The system's time, which can jump: for what is a matter of minutes but not of waiting. */
export function newShiftingClock(): ShiftingClock {
  let shiftedMs = 0;
  return {
    nowMs: () => systemClock.nowMs() + shiftedMs,
    monotonicMs: () => systemClock.monotonicMs() + shiftedMs,
    sleep: systemClock.sleep,
    shiftMs(ms) {
      shiftedMs += ms;
    },
  };
}
