import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Death } from "./crash/cases.ts";
import { allUnits } from "./crash/lane.ts";
import { Ledger } from "./crash/ledger.ts";
import { type Matrix, matrixOf, merged, pageOf, readPage } from "./crash/matrix-page.ts";
import { disk } from "./crash/requests.ts";
import type { Scenario } from "./crash/scenario.ts";

const scenarioOf = (name: string, rpc: "CreateBlockStorage" | "DeleteBlockStorage"): Scenario => ({
  ...{ name, prepare: [], call: disk(rpc, {}), revert: [], cleanUp: [] },
});
const SMALL = scenarioOf("CreateBlockStorage: small", "CreateBlockStorage");
const LARGE = scenarioOf("CreateBlockStorage: large", "CreateBlockStorage");
const GONE = scenarioOf("DeleteBlockStorage", "DeleteBlockStorage");
const UNITS = allUnits([SMALL, LARGE, GONE]);
const ROW = "CreateBlockStorage | volume.ensure_empty";

const caseOf = (step: string, seq: number, death: Death) => ({
  ...{ death, earlier: [], expectation: "before" as const },
  place: { point: "before_act" as const, kind: "CreateBlockStorage", step, seq },
});

/** A run of these scenarios to their end on the kind `split`, with so many deaths of the agent in each. */
function ran(count: number, ...scenarios: Scenario[]): Matrix {
  const ledger = new Ledger();
  for (const scenario of scenarios) {
    const unit = `${scenario.name} (split)`;
    for (let seq = 0; seq < count; seq++) {
      ledger.add(unit, scenario, caseOf("volume.ensure_empty", seq, "agent"), []);
    }
    ledger.finish(unit, 1);
  }
  return matrixOf(ledger, UNITS);
}

const agentsIn = ({ rows }: Matrix) => rows.get(ROW)?.get("agent")?.cases;

test("docs/crash-matrix.md is what its own numbers give", () => {
  const page = readFileSync(join(import.meta.dirname, "../docs/crash-matrix.md"), "utf8");
  expect(pageOf(readPage(page))).toBe(page);
});

test("a run of other scenarios adds to the rows of an RPC", () => {
  const both = merged(ran(2, SMALL), ran(3, LARGE), UNITS);
  expect(agentsIn(both)).toBe(5);
  expect(both.ran.get(SMALL.name)).toEqual(["split"]);
  expect(both.ran.get(LARGE.name)).toEqual(["split"]);
  expect(pageOf(both)).toContain("5 cases in 2 runs of a scenario on a kind of cluster; 0 left");
  expect(pageOf(both)).toContain("Of 3 scenarios, 1 have not run yet.");
});

test("a run of the same scenarios and more takes the place of the rows of an RPC", () => {
  const again = merged(ran(2, SMALL), ran(3, SMALL, LARGE), UNITS);
  expect(agentsIn(again)).toBe(6);
  expect(again.ran.get(SMALL.name)).toEqual(["split"]);
});

test("a run of fewer scenarios leaves the rows of an RPC", () => {
  const old = merged(ran(2, SMALL, LARGE), ran(3, SMALL, GONE), UNITS);
  expect(agentsIn(old)).toBe(4);
  expect(old.ran.get(GONE.name)).toEqual(["split"]);
  expect(old.rows.get("DeleteBlockStorage | volume.ensure_empty")?.get("agent")?.cases).toBe(3);
});

test("a scenario that has not run to its end does not count, and what is left does", () => {
  const ledger = new Ledger();
  const death = caseOf("", -1, "disk full");
  ledger.add(`${SMALL.name} (split)`, SMALL, death, []);
  ledger.add(`${LARGE.name} (split)`, LARGE, death, ["a file"]);
  ledger.trace([{ ...death.place, point: "after_undo", step: "volume.ensure_empty" }]);
  ledger.finish(`${LARGE.name} (split)`, 1);
  const page = pageOf(matrixOf(ledger, UNITS));
  expect(page).toContain("1 cases in 1 runs of a scenario on a kind of cluster; 1 left something.");
  expect(page).toMatch(/^\| CreateBlockStorage \| \(begin, commit, rest\) \|.* 1\/1 \|/m);
  expect(page).toContain("- CreateBlockStorage: volume.ensure_empty\n");
  expect(page).toContain(`- ${SMALL.name}: not yet\n- DeleteBlockStorage: not yet\n`);
  expect(pageOf(readPage(page))).toBe(page);
});
