import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { sourcesHash } from "../../scripts/sources-hash.ts";
import { stepRegistryOf } from "../../src/api/core/resource/resource.ts";
import { resources } from "../../src/api/resources.ts";
import { PasswordService } from "../../src/gen/n0stack/iam/v1alpha1/password_pb.ts";
import { TransactionService } from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { VerifyService } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { SCENARIOS } from "../cases.ts";
import { requirement } from "../node/requirements.ts";
import { READS } from "../reading.ts";
import { SEED } from "../seeds.ts";
import { CACHE, PROJECT } from "./bundle.ts";
import { alone, type Case, inRows, type Row } from "./cases.ts";
import { allUnits, runLanes, type Unit, unitsOf } from "./lane.ts";
import { Ledger } from "./ledger.ts";
import { matrixOf, merged, pageOf, readPage, undoneByKind } from "./matrix-page.ts";
import { progressOf } from "./progress.ts";
import { drawnBy, inDrawnOrder, stratified } from "./sample.ts";
import { rpcOf } from "./scenario.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const IS_ALL = process.env["N0_CRASH_ALL"] === "1";
/** Of the whole matrix; it goes on at the next run. */
const SECONDS = Number(process.env["N0_CRASH_SECONDS"] ?? 12 * 3600);
/** Of the sample: scenarios on a kind of cluster. A number, not a time, so that each run is the same. */
const UNITS = Number(process.env["N0_CRASH_UNITS"] ?? 12);
/** A pattern for scenarios on a kind of cluster, such as `RunTasks.*undo.*standalone`. */
const ONLY = process.env["N0_CRASH_ONLY"] ?? "";
/** A pattern for what goes wrong, such as `disk|clock`. */
const DEATH = process.env["N0_CRASH_DEATH"] ?? "";
/** Clusters side by side. */
const LANES = Number(process.env["N0_CRASH_LANES"] ?? (IS_ALL ? 3 : 2));
const CASES_EACH = 3;
/** Cases that have begun are finished. */
const RUN_MS = IS_ALL ? SECONDS * 1000 + 600_000 : 240_000 + UNITS * 30_000;
/** They change nothing but a time, or are one batch. */
const ONE_BATCH = /^(?:Heartbeat|SignIn)/;

test("every RPC that changes something has a scenario", () => {
  const others = [PasswordService, TransactionService, VerifyService];
  const services = [...resources.map(({ service }) => service), ...others];
  const methods = services.flatMap((service) => service.methods.map(({ name }) => name));
  // What is done to a transaction of another RPC is one of the things that happen to that. What is given
  // up has failed for half a minute: give-up.test.ts, and test/e2e/give-up.test.ts for real processes.
  const ofAnother = ["CancelTransaction", "RetryTransaction", "GiveUpTransaction"];
  const covered = new Set([...SCENARIOS.map(rpcOf), ...ofAnother]);
  expect(
    methods.filter((name) => !ONE_BATCH.test(name) && !READS.test(name) && !covered.has(name)),
  ).toEqual([]);
});

test("every scenario has a name of its own", () => {
  const names = SCENARIOS.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

describe.runIf(isPossible)("real processes die", () => {
  if (IS_ALL) {
    test("at every place, and nothing is left", { timeout: RUN_MS }, async () => {
      const ledger = new Ledger(ledgerPath());
      const isComplete = await runAll(ledger, allUnits(SCENARIOS).filter(isChosen));
      if (!isComplete) console.log("not finished: run it again to go on");
      if (DEATH !== "") return;
      if (isComplete) everyStepIsReached(ledger);
      writeMatrix(ledger);
    });
  } else {
    test("here and there, and nothing is left", { timeout: RUN_MS }, async () => {
      console.log(`N0_SEED=${SEED} N0_CRASH_UNITS=${UNITS}`);
      const ledger = new Ledger();
      const near = SCENARIOS.filter(({ needsTwoNodes }) => needsTwoNodes !== true);
      const units = [
        ...unitsOf({ kind: "standalone", nodeCount: 1 }, near),
        ...unitsOf({ kind: "split", nodeCount: 2 }, SCENARIOS),
      ];
      await runSome(ledger, units.filter(isChosen));
      expect(ledger.results.length).toBeGreaterThan(0);
    });
  }
});

function everyStepIsReached({ undoable, undone, acted, results, finished }: Ledger): void {
  // What has begun in an earlier run goes on in a later one.
  if (results.some(({ unit }) => !finished.has(unit))) return;
  expect([...undoable].filter((name) => !undone.has(name))).toEqual([]);
  if (ONLY !== "") return;
  const { steps, retriables } = stepRegistryOf(resources).names();
  const known = new Set([...acted].map((name) => name.split(" ")[1]));
  expect([...steps, ...retriables].filter((name) => !known.has(name))).toEqual([]);
}

/** Also those of earlier runs with the same ledger. The rows of other scenarios stay. */
function writeMatrix(ledger: Ledger): void {
  const path = join(PROJECT, "docs/crash-matrix.md");
  const units = allUnits(SCENARIOS);
  const old = readPage(readFileSync(path, "utf8"));
  writeFileSync(path, pageOf(merged(old, matrixOf(ledger, units), units)));
}

/** @returns whether every unit has been run to its end, now or in an earlier run of these sources. */
async function runAll(ledger: Ledger, units: readonly Unit[]): Promise<boolean> {
  const isFinished = ({ name }: Unit) => ledger.finished.has(name);
  const waiting = units.filter((unit) => !isFinished(unit));
  if (ledger.results.length > 0) console.log(`goes on after ${ledger.results.length} deaths`);
  const goesOn = forSeconds();
  await runLanes(LANES, waiting, {
    choose: (unit) => (cases) =>
      asLongAs(
        goesOn,
        inRows(cases.filter((dying) => isWanted(dying) && !ledger.has(unit.name, dying))),
      ),
    ledger,
    goesOn,
    onUnit: progressOf(units, ledger, LANES),
  });
  report(ledger);
  expect(problemsOf(ledger)).toEqual([]);
  return units.every(isFinished);
}

async function runSome(ledger: Ledger, units: readonly Unit[]): Promise<void> {
  const sample = alternating(inDrawnOrder(units, SEED)).slice(0, UNITS);
  await runLanes(LANES, sample, {
    // Each unit by numbers of its own, so that the pace of one does not change what another does.
    choose: ({ name }) => {
      const fraction = drawnBy(name, SEED);
      return (cases) => stratified(cases.filter(isWanted), CASES_EACH, fraction).map(alone);
    },
    ledger,
    goesOn: () => true,
    onUnit: ({ name }, seconds) =>
      console.log(`${name}, ${seconds} s; ${ledger.results.length} deaths so far`),
  });
  report(ledger);
  expect(problemsOf(ledger)).toEqual([]);
}

function isChosen({ name }: Unit): boolean {
  return new RegExp(ONLY).test(name);
}

function isWanted({ death }: Case): boolean {
  return new RegExp(DEATH).test(death);
}

function forSeconds(): () => boolean {
  const endMs = performance.now() + SECONDS * 1000;
  return () => performance.now() < endMs;
}

function* asLongAs(goesOn: () => boolean, rows: readonly Row[]): Generator<Row> {
  for (const row of rows) {
    if (!goesOn()) return;
    yield row;
  }
}

/** Of these sources: a change begins anew. */
function ledgerPath(): string {
  const sources = sourcesHash(["src", "test/crash", "scripts/scan-host"]);
  return join(CACHE, `all${DEATH.replaceAll(/\W/g, "-")}-${sources}.jsonl`);
}

/** The kinds of cluster in turn, so that each lane begins with another one. */
function alternating(units: readonly Unit[]): Unit[] {
  const kinds = [...Map.groupBy(units, ({ cluster }) => cluster.kind).values()];
  return units.flatMap((_, i) => kinds.flatMap((kind) => kind.slice(i, i + 1)));
}

function problemsOf({ results, broken }: Ledger): string[] {
  const bad = results.filter(({ leftovers }) => leftovers.length > 0);
  return [...broken, ...bad.map(({ unit, what }) => `${unit}: ${what}`)];
}

function report({ results, broken, undone, undoable }: Ledger): void {
  const bad = results.filter(({ leftovers }) => leftovers.length > 0).length;
  console.log(`${results.length} deaths, ${bad} left something`);
  if (broken.length > 0) console.log(`not run to their end: ${broken.join("\n")}`);
  console.log(`undone at least once:\n  ${undoneByKind(undone).join("\n  ")}`);
  const missing = new Set([...undoable].filter((name) => !undone.has(name)));
  if (missing.size > 0) console.log(`never undone:\n  ${undoneByKind(missing).join("\n  ")}`);
}
