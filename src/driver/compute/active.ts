import type { DomainState } from "./domain.ts";

/** With a process, whose processors may stand still: its memory is there, and its disks are in use. */
export function isActive(state: DomainState): boolean {
  return state === "running" || isPaused(state);
}

export function isPaused(state: DomainState): boolean {
  return state === "paused" || state === "out_of_space";
}
