import { type Clock, systemClock } from "../src/util/clock.ts";

export interface ShiftingClock extends Clock {
  /** Time continues `ms` later. This wakes no sleeper. */
  shiftMs(ms: number): void;
  /** Somebody sets the wall clock: no time has passed. */
  setWallMs(nowMs: number): void;
}

/** The system's time, which can jump: for tests of minutes that must not wait. */
export function newShiftingClock(): ShiftingClock {
  let shiftedMs = 0;
  let setMs = 0;
  return {
    nowMs: () => systemClock.nowMs() + shiftedMs + setMs,
    monotonicMs: () => systemClock.monotonicMs() + shiftedMs,
    sleep: systemClock.sleep,
    shiftMs(ms) {
      shiftedMs += ms;
    },
    setWallMs(nowMs) {
      setMs = nowMs - systemClock.nowMs() - shiftedMs;
    },
  };
}
