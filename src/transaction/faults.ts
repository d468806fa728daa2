/** The moments at which a process can die in a way that matters. Named, and in the code, so that tests reach each. */
export const FAULT_POINTS = [
  "before_begin",
  "after_begin",
  "before_journal",
  "before_act",
  "after_act",
  "before_unwind",
  "before_undo",
  "after_undo",
  "before_commit",
  "after_commit",
  "before_retriable",
  "after_retriable",
  "before_rest",
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

export interface FaultPlace {
  readonly point: FaultPoint;
  /** The transaction's kind. */
  readonly kind: string;
  /** The step's name; empty where there is none. */
  readonly step: string;
  readonly seq: number;
}

/** Called at each fault point; throws or kills to make the fault. */
export type Faults = (place: FaultPlace) => void | Promise<void>;

export const noFaults: Faults = () => {};

/** Thrown by a test to stop everything where it stands, as if the process had died: nothing is unwound. */
export class SimulatedCrash extends Error {
  override name = "SimulatedCrash";
}

/**
 * Faults from a text such as `after_act:domain.start_new:2`, read from the environment of a process under
 * test: at the second time the point is reached, the process kills itself with SIGKILL. Without a count
 * it is the first time; without a step, or with `*`, any step counts.
 */
export function killAt(text: string, kill: () => void): Faults {
  const [point, step = "", count = "1"] = text.split(":");
  if (!FAULT_POINTS.some((known) => known === point)) {
    throw new Error(`unknown fault point "${point}"; known are ${FAULT_POINTS.join(", ")}`);
  }
  if (!/^[1-9][0-9]*$/.test(count)) throw new Error(`"${count}" in "${text}" is no count`);
  let left = Number(count);
  return (place) => {
    if (place.point !== point || (step !== "" && step !== "*" && place.step !== step)) return;
    left -= 1;
    if (left === 0) kill();
  };
}
