import type { Unit } from "./lane.ts";
import type { Ledger } from "./ledger.ts";

/** Prints after each unit how far the run is, and about how long it will take. */
export function progressOf(
  units: readonly Unit[],
  ledger: Ledger,
  lanes: number,
): (unit: Unit, seconds: number) => void {
  return ({ name }, seconds) => {
    const finished = units.flatMap((unit) => ledger.finished.get(unit.name) ?? []);
    const left = units.length - finished.length;
    const secondsEach =
      finished.reduce((sum, each) => sum + each, 0) / Math.max(1, finished.length);
    const minutesLeft = Math.round((left * secondsEach) / lanes / 60);
    console.log(
      `${finished.length} of ${units.length}: ${name}, ${seconds} s; ${ledger.results.length} deaths` +
        ` so far, about ${minutesLeft} min to go`,
    );
  };
}
