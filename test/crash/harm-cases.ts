import type { FaultPlace, FaultPoint } from "../../src/transaction/faults.ts";
import type { Case, Death, Expectation } from "./cases.ts";
import type { Scenario } from "./scenario.ts";

/** The places at which something goes wrong while the API is held there, or at which the API dies by itself. */
interface Where {
  readonly points: readonly FaultPoint[];
  /** All steps if there is none. */
  readonly steps?: RegExp;
  /** Only in thorough scenarios. */
  readonly isThorough?: boolean;
  /** It takes long, so only at the first place. */
  readonly isOnce?: boolean;
  /** Only with a guest, or only without one. */
  readonly hasDomain?: boolean;
}

/** Steps with a guest. Those that write the record of a domain of projects have the same beginning. */
const DOMAIN = /^domain\.(?!\w+_record$)/;
/** Calls of an agent. */
const CALLS =
  /^(?:volume\.(?:ensure_|grow|remove|mark)|domain\.(?!\w+_record$)|network\.(?:make|attach|remove|move|limit)_tap|network\.(?:change_g|restore|sweep)|node\.settle)/;
/** The calls that write files. */
const WRITES = /^(?:volume\.(?:ensure_|grow)|domain\.(?:(?:re)?write|start))/;

const AROUND: readonly FaultPoint[] = [
  "before_act",
  "after_act",
  "before_retriable",
  "after_retriable",
];
const BEFORE: readonly FaultPoint[] = ["before_act", "before_retriable"];
const ALONG: readonly FaultPoint[] = [
  "after_begin",
  "before_act",
  "after_act",
  "before_commit",
  "after_commit",
];

const WHERE: Readonly<Partial<Record<Death, Where>>> = {
  agent: { points: AROUND },
  "agent in the middle": { points: BEFORE },
  "agent frozen": { points: BEFORE },
  "agent late": { points: ["before_act"], steps: CALLS, isThorough: true, isOnce: true },
  QEMU: { points: AROUND, hasDomain: true },
  libvirtd: { points: AROUND, hasDomain: true },
  client: { points: ALONG },
  cancelled: { points: ALONG, isThorough: true },
  "network cut": { points: BEFORE, steps: CALLS },
  "cut and retried": { points: BEFORE, steps: CALLS, isThorough: true },
  "answer lost": { points: BEFORE, steps: CALLS },
  "called twice": { points: BEFORE, steps: CALLS },
  "called late": { points: BEFORE, steps: CALLS },
  "disk full": { points: ["before_act"], steps: WRITES },
  "disk read-only": { points: BEFORE, steps: /^volume\./, hasDomain: false },
  "datastore full": { points: ALONG, isThorough: true },
  "datastore busy": { points: ["before_commit", "after_commit"], isThorough: true },
  "clock forward": { points: ["before_act", "before_commit", "after_commit"], isThorough: true },
  "clock back": { points: ["after_act", "before_commit", "after_commit"], isThorough: true },
};

/** It makes nothing fail. */
const HARMLESS: ReadonlySet<Death> = new Set<Death>(["called twice", "clock forward"]);
/** The call cannot go on: the API dies at the place, or gets an error. */
const AT_ONCE: ReadonlySet<Death> = new Set<Death>(["datastore busy", "clock back", "cancelled"]);

/**
 * What may go wrong in a scenario besides the death of the API, by the places that a clean run of it reaches.
 */
export function harmCases(
  scenario: Scenario,
  trace: readonly FaultPlace[],
  expected: (at: number) => Expectation,
): Case[] {
  const deaths = Object.entries(WHERE) as [Death, Where][];
  return deaths.flatMap(([death, where]) => {
    const cases = trace.flatMap((place, i): Case[] =>
      isThere(where, place, scenario, trace)
        ? [{ death, place, earlier: [], expectation: expectationOf(death, expected(i)) }]
        : [],
    );
    return where.isOnce === true ? cases.slice(0, 1) : cases;
  });

  function expectationOf(death: Death, ofDeath: Expectation): Expectation {
    if (AT_ONCE.has(death)) return ofDeath;
    if (death === "QEMU") return "consistent";
    if (scenario.isRefused === true) return "before";
    if (HARMLESS.has(death)) return "after";
    // A transaction of its own kind may have ended, and is kept.
    if (trace.some(({ kind }) => kind !== trace[0]?.kind)) return "consistent";
    // Before the pivot the step may succeed in spite of it. After the pivot it must succeed in the end.
    return ofDeath === "after" ? "after" : "either";
  }
}

function isThere(
  { points, steps, isThorough, hasDomain }: Where,
  place: FaultPlace,
  scenario: Scenario,
  trace: readonly FaultPlace[],
): boolean {
  if (!points.includes(place.point)) return false;
  if (steps !== undefined && !steps.test(place.step)) return false;
  if (isThorough === true && scenario.isThorough !== true) return false;
  if (hasDomain === undefined) return true;
  return trace.some(({ step }) => DOMAIN.test(step)) === hasDomain;
}
