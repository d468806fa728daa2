import type { DomainState } from "./domain.ts";

/**
 * Whether the domain has a process, even if its processors are stopped: its memory exists, and its disks are in
 * use.
 */
export function isActive(state: DomainState): boolean {
  return state === "running" || isPaused(state);
}

export function isPaused(state: DomainState): boolean {
  return state === "paused" || state === "out_of_space";
}
