import type { DriftCase, Drifts } from "./drift.ts";
import { gather } from "./gather.ts";

const modules = await gather<{ readonly drifts: Drifts }>("drift");

/** At least one way to make a world inconsistent for each code. */
export const DRIFT_CASES: Drifts = Object.assign({}, ...modules.map(({ drifts }) => drifts));

export function driftOf(code: string): DriftCase["drift"] {
  const found = DRIFT_CASES[code];
  if (found === undefined) throw new Error(`no case brings about "${code}"`);
  return found.drift;
}
