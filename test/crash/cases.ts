import type { FaultPlace } from "../../src/transaction/faults.ts";
import type { ClusterKind } from "./cluster.ts";
import { harmCases } from "./harm-cases.ts";
import type { Scenario } from "./scenario.ts";

/** What dies and how, or what else goes wrong. */
export const DEATHS = [
  "API and agent",
  "API",
  "agent",
  "agent in the middle",
  "agent frozen",
  "agent late",
  "QEMU",
  "libvirtd",
  "client",
  "cancelled",
  "network cut",
  "cut and retried",
  "answer lost",
  "called twice",
  "called late",
  "disk full",
  "disk read-only",
  "datastore full",
  "datastore busy",
  "clock forward",
  "clock back",
] as const;
export type Death = (typeof DEATHS)[number];

/**
 * The world that must be found at rest: the one before, the one after the call, one of the two, or only a
 * consistent one.
 */
export type Expectation = "before" | "after" | "either" | "consistent";

export interface Case {
  readonly death: Death;
  readonly place: FaultPlace;
  readonly expectation: Expectation;
  /** The API dies at each of these places first, one life after the other. */
  readonly earlier: readonly FaultPlace[];
}

/** Cases that run as one: the API dies at the place of each, one life after the other. */
export interface Row {
  readonly dying: Case;
  /** The cases that it stands for. They run one by one if something is left. */
  readonly cases: readonly Case[];
}

/** Every death of a scenario that follows from the places that a clean run of it reaches. */
export function casesOf(
  kind: ClusterKind,
  scenario: Scenario,
  trace: readonly FaultPlace[],
): Case[] {
  const expected = expectationsFor(scenario, trace);
  const whole: Death = kind === "standalone" ? "API and agent" : "API";
  const deaths: Case[] = trace.map((place, i) => ({
    death: whole,
    place,
    earlier: [],
    expectation: expected(i),
  }));
  const unwinding = trace.flatMap((first, i) =>
    first.point === "before_commit"
      ? unwindPlaces(trace.slice(0, i), first.kind).map((place) => ({
          death: whole,
          place,
          earlier: [first],
          expectation: expected(i),
        }))
      : [],
  );
  return [
    ...deaths,
    ...unwinding,
    ...(kind === "split" ? harmCases(scenario, trace, expected) : []),
  ];
}

/** The places at which recovery passes and undoes what was started before. */
function unwindPlaces(trace: readonly FaultPlace[], kind: string): FaultPlace[] {
  const started = trace.filter((place) => place.point === "before_act" && place.kind === kind);
  const whole = { kind, step: "", seq: -1 };
  return [
    { point: "before_unwind", ...whole },
    ...started.toReversed().flatMap(({ step, seq }): FaultPlace[] => [
      { point: "before_undo", kind, step, seq },
      { point: "after_undo", kind, step, seq },
    ]),
    { point: "before_rest", ...whole },
  ];
}

/** By the number of the place in the trace. */
function expectationsFor(
  { isRefused = false }: Scenario,
  trace: readonly FaultPlace[],
): (at: number) => Expectation {
  const outer = trace[0]?.kind;
  const pivotAt = trace.findIndex(({ point, kind }) => point === "after_commit" && kind === outer);
  // This transaction belongs to something that is kept: its result stays, whatever follows.
  const innerAt = trace.findIndex(({ point, kind }) => point === "after_commit" && kind !== outer);
  return (at) => {
    if (isRefused) return "before";
    if (pivotAt !== -1 && at >= pivotAt) return "after";
    return innerAt !== -1 && at >= innerAt ? "consistent" : "before";
  };
}

export const alone = (dying: Case): Row => ({ dying, cases: [dying] });

/**
 * Deaths in an unwind, and those after the pivot, in rows: recovery continues where the last life ended, so one
 * call meets them all. Every other death needs a call of its own.
 */
export function inRows(cases: readonly Case[]): Row[] {
  const rows = new Map<string, Case[]>();
  for (const dying of cases) {
    const key = rowOf(dying);
    rows.set(key, [...(rows.get(key) ?? []), dying]);
  }
  return [...rows.values()].map((row) => {
    const last = row.at(-1)!;
    const places = row.slice(0, -1).map(({ place }) => place);
    return { dying: { ...last, earlier: [...last.earlier, ...places] }, cases: row };
  });
}

function rowOf(dying: Case): string {
  const { death, place, earlier, expectation } = dying;
  const isWhole = death === "API" || death === "API and agent";
  if (isWhole && earlier.length > 0) return `unwinding of ${describePlace(earlier[0]!)}`;
  if (isWhole && expectation === "after") return `finishing ${place.kind}`;
  return describeCase(dying);
}

export function describeCase({ death, place, earlier }: Case): string {
  const during = earlier.length === 0 ? "" : " in the unwind";
  return `${death} at ${describePlace(place)}${during}`;
}

function describePlace(place: FaultPlace): string {
  const step = place.step === "" ? "" : ` ${place.step}#${place.seq}`;
  return `${place.point}${step} of ${place.kind}`;
}
