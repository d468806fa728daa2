import { type Clock, systemClock } from "../src/util/clock.ts";

export interface ShiftingClock extends Clock {
  /** Time goes on from `ms` later. Who sleeps is not woken by it. */
  shiftMs(ms: number): void;
  /** Somebody sets the wall clock: no time has passed. */
  setWallMs(nowMs: number): void;
}

/** The system's time, which can jump: for what is a matter of minutes but not of waiting. */
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
