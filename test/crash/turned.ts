import type { Request } from "./remote.ts";
import { nameOf, type Scenario } from "./scenario.ts";

type Pair = readonly [call: Request, inverse: Request, prepare?: Request, undone?: Request];

interface Options {
  /** The RPC whose scenario is thorough. */
  readonly thorough?: string;
}

/** For each RPC and the one that takes it back: its scenario, and the same in reverse. */
export function turned(pairs: readonly Pair[], { thorough }: Options = {}): readonly Scenario[] {
  const scenarios = both(pairs);
  return scenarios.map((one) => (one.name === thorough ? { ...one, isThorough: true } : one));
}

function both(pairs: readonly Pair[]): readonly Scenario[] {
  const inverses = pairs.map(([, inverse]) => nameOf(inverse));
  const nameOfInverse = ([call, inverse]: Pair) => {
    const name = nameOf(inverse);
    const isOnly = inverses.indexOf(name) === inverses.lastIndexOf(name);
    return isOnly ? name : `${name}: after ${nameOf(call)}`;
  };
  return pairs.flatMap((pair) => {
    const [call, inverse, prepare, undone] = pair;
    const first = prepare === undefined ? [] : [prepare];
    const last = undone === undefined ? [] : [undone];
    return [
      { name: nameOf(call), prepare: first, call, revert: [inverse], cleanUp: last },
      {
        name: nameOfInverse(pair),
        prepare: [...first, call],
        call: inverse,
        revert: [call],
        cleanUp: [inverse, ...last],
      },
    ];
  });
}
