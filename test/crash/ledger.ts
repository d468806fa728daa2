import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { FaultPlace } from "../../src/transaction/faults.ts";
import { type Case, describeCase } from "./cases.ts";
import { rpcOf, type Scenario } from "./scenario.ts";

/** One death and its result. */
export interface Result {
  /** The scenario and the kind of cluster. */
  readonly unit: string;
  readonly rpc: string;
  readonly death: Case["death"];
  readonly step: string;
  /** The case in words, different from all other cases of its unit. */
  readonly what: string;
  /** What is not as it should be; empty for a passed case. */
  readonly leftovers: readonly string[];
}

type Line =
  | { readonly result: Result }
  /** A unit that ran to its end. */
  | { readonly finished: string; readonly seconds: number }
  /** The first time that a step of a kind of transaction was undone, or acted. */
  | { readonly undone: string }
  | { readonly acted: string }
  /** A step that can be undone, of a kind of transaction in a clean run. */
  | { readonly undoable: string };

/** The results so far. They may be in a file, so that a run can continue later. */
export class Ledger {
  readonly results: Result[] = [];
  /** Seconds by unit. */
  readonly finished = new Map<string, number>();
  /** Units that could not run to their end. They run again the next time. */
  readonly broken: string[] = [];
  /** Such as `CreateVirtualMachine domain.start_new`. */
  readonly undone = new Set<string>();
  readonly acted = new Set<string>();
  readonly undoable = new Set<string>();
  readonly #path: string | undefined;

  constructor(path?: string) {
    this.#path = path;
    if (path === undefined) return;
    mkdirSync(dirname(path), { recursive: true });
    if (!existsSync(path)) return;
    // The last line is incomplete if the run was killed while it wrote.
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
    for (const line of lines) this.#take(JSON.parse(line) as Line);
  }

  has(unit: string, dying: Case): boolean {
    const what = describeCase(dying);
    return this.results.some((result) => result.unit === unit && result.what === what);
  }

  add(unit: string, scenario: Scenario, dying: Case, leftovers: readonly string[]): void {
    const { death, place } = dying;
    const result = { unit, rpc: rpcOf(scenario), death, step: place.step };
    this.#note({ result: { ...result, what: describeCase(dying), leftovers } });
  }

  finish(unit: string, seconds: number): void {
    this.#note({ finished: unit, seconds });
  }

  /** The places that the API has reached. */
  trace(places: readonly FaultPlace[]): void {
    for (const { point, kind, step } of places) {
      const name = `${kind} ${step}`;
      if (point === "after_undo" && !this.undone.has(name)) this.#note({ undone: name });
      if (point === "after_act" || point === "after_retriable") {
        if (!this.acted.has(name)) this.#note({ acted: name });
      }
    }
  }

  /** The places of an undisturbed call: each of its steps must be undone once. */
  cleanTrace(places: readonly FaultPlace[]): void {
    this.trace(places);
    for (const { point, kind, step } of places) {
      const name = `${kind} ${step}`;
      if (point === "before_act" && !this.undoable.has(name)) this.#note({ undoable: name });
    }
  }

  #note(line: Line): void {
    this.#take(line);
    if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }

  #take(line: Line): void {
    if ("result" in line) this.results.push(line.result);
    else if ("finished" in line) this.finished.set(line.finished, line.seconds);
    else if ("undone" in line) this.undone.add(line.undone);
    else if ("acted" in line) this.acted.add(line.acted);
    else this.undoable.add(line.undoable);
  }
}
