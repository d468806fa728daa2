/**
 * The moments at which the death of a process makes a difference. The code names each, so that tests reach
 * each.
 */
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
  /** The method of the transaction. */
  readonly kind: string;
  /** The name of the step; empty if there is none. */
  readonly step: string;
  readonly seq: number;
}

/** Called at each fault point. Throws, or kills the process, to cause the fault. */
export type Faults = (place: FaultPlace) => void | Promise<void>;

export const noFaults: Faults = () => {};

/** A test throws it to stop a transaction at once, as if the process had died: nothing is unwound. */
export class SimulatedCrash extends Error {
  override name = "SimulatedCrash";
}

/**
 * Parses a fault such as `after_act:domain.start_new:2`, from the environment of a process under test: when
 * the process reaches this point for the second time, it kills itself with SIGKILL. Without a count, the
 * first time; without a step, or with `*`, at any step.
 */
export function killAt(text: string, kill: () => void): Faults {
  const [point, step = "", count = "1"] = text.split(":");
  if (!FAULT_POINTS.some((known) => known === point)) {
    throw new Error(`unknown fault point "${point}"; known are ${FAULT_POINTS.join(", ")}`);
  }
  if (!/^[1-9][0-9]*$/.test(count)) throw new Error(`"${count}" in "${text}" is not a count`);
  let left = Number(count);
  return (place) => {
    if (place.point !== point || (step !== "" && step !== "*" && place.step !== step)) return;
    left -= 1;
    if (left === 0) kill();
  };
}
