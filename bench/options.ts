import { parseArgs } from "node:util";
import { wrongUse } from "../scripts/run-program.ts";
import type { Measurement } from "./measurement.ts";
import { measurements } from "./measurements.ts";

/** The number that the bars are for, and the default. */
export const RUNS_MIN = 7;

export interface BenchOptions {
  readonly chosen: readonly Measurement[];
  readonly runs: number;
  /** The file that also gets the numbers. */
  readonly json: string | undefined;
  readonly write: boolean;
  readonly list: boolean;
  readonly help: boolean;
}

/** @throws Failure for wrong arguments. */
export function readOptions(): BenchOptions {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      runs: { type: "string" },
      json: { type: "string" },
      write: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const runs = Number(values.runs ?? RUNS_MIN);
  if (!Number.isInteger(runs) || runs < 1) throw wrongUse("--runs: must be a whole number from 1");
  const { json, write, list, help } = values;
  return { chosen: chosen(values.only), runs, json, write, list, help };
}

function chosen(only: string | undefined): readonly Measurement[] {
  if (only === undefined) return measurements;
  return only.split(",").map((wanted) => {
    const found = measurements.find(({ name }) => name === wanted);
    if (found === undefined)
      throw wrongUse(`--only: there is no measurement "${wanted}"; see --list`);
    return found;
  });
}
