import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { stepRegistry } from "../../src/api/step-registry.ts";
import { ImageService } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { UserService } from "../../src/gen/n0stack/iam/v0/user_pb.ts";
import { NetworkService } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import { BlockStorageService } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineService } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { requirement } from "../node/requirements.ts";
import { type Lane, runLane } from "./lane.ts";
import { matrixPage } from "./matrix-page.ts";
import { PROJECT } from "./program.ts";
import { newRun } from "./run-scenario.ts";
import { seededFractions, shuffled, stratified } from "./sample.ts";
import { rpcOf, SCENARIOS } from "./scenarios.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const IS_ALL = process.env["N0_CRASH_ALL"] === "1";
const SEED = Number(process.env["N0_CRASH_SEED"] ?? randomInt(2 ** 31));
const SECONDS = Number(process.env["N0_CRASH_SECONDS"] ?? 80);
/** Part of a scenario's name; for looking into one. */
const ONLY = process.env["N0_CRASH_ONLY"] ?? "";
const CASES_EACH = 3;
const WHOLE_RUN_MS = 12 * 3600 * 1000;
/** A scenario that has begun is finished. */
const SAMPLE_RUN_MS = SECONDS * 1000 + 240_000;
/** They change nothing, or nothing but a time. */
const READS = /^(?:Get|List|Watch|Read|Download|Schedule|OpenConsole|Heartbeat)/;

test("every RPC that changes something has a scenario", () => {
  const services = [
    NodeService,
    NetworkService,
    BlockStorageService,
    VirtualMachineService,
    ImageService,
    UserService,
  ];
  const methods = services.flatMap((service) => service.methods.map(({ name }) => name));
  const covered = new Set(SCENARIOS.map(rpcOf));
  expect(methods.filter((name) => !READS.test(name) && !covered.has(name))).toEqual([]);
});

describe.runIf(isPossible)("real processes die", () => {
  const scenarios = SCENARIOS.filter(({ name }) => name.includes(ONLY));
  const near = scenarios.filter(({ needsTwoNodes }) => needsTwoNodes !== true);
  const far = scenarios.filter(({ needsTwoNodes }) => needsTwoNodes === true);

  test.runIf(IS_ALL)("at every place, and nothing is left", { timeout: WHOLE_RUN_MS }, async () => {
    const run = newRun();
    const lanes: Lane[] = [
      { kind: "standalone", scenarios: near },
      { kind: "split", scenarios: near },
      { kind: "split", nodeCount: 2, scenarios: far },
    ];
    const total = lanes.reduce((count, lane) => count + lane.scenarios.length, 0);
    let done = 0;
    const onScenario = ({ name }: (typeof SCENARIOS)[number], seconds: number) => {
      done += 1;
      console.log(
        `${done} of ${total}: ${name}, ${seconds} s; ${run.results.length} deaths so far`,
      );
      writeFileSync(join(PROJECT, "docs/crash-matrix.md"), matrixPage(run, total, done));
    };
    const options = { choose: <T>(cases: T) => cases, run, goesOn: () => true, onScenario };
    await Promise.all(lanes.map((lane) => runLane(lane, options)));
    report(run);
    const { steps, retriables } = stepRegistry().names();
    expect(problemsOf(run)).toEqual([]);
    if (ONLY !== "") return;
    expect([...steps, ...retriables].filter((name) => !run.acted.has(name))).toEqual([]);
    expect(steps.filter((name) => !run.undone.has(name))).toEqual([]);
  });

  test.runIf(!IS_ALL)(
    "here and there, and nothing is left",
    { timeout: SAMPLE_RUN_MS },
    async () => {
      console.log(`N0_CRASH_SEED=${SEED} N0_CRASH_SECONDS=${SECONDS}`);
      const run = newRun();
      const endMs = performance.now() + SECONDS * 1000;
      const goesOn = () => performance.now() < endMs;
      const onScenario = ({ name }: (typeof SCENARIOS)[number], seconds: number) =>
        console.log(`${name}, ${seconds} s; ${run.results.length} deaths so far`);
      const lanes: Lane[] = [
        { kind: "standalone", scenarios: near },
        { kind: "split", nodeCount: 2, scenarios },
      ];
      await Promise.all(
        lanes.map((lane, i) => {
          // Each lane its own, so that one's pace does not change what the other does.
          const fraction = seededFractions(SEED + i);
          const choose: Parameters<typeof runLane>[1]["choose"] = (cases) =>
            stratified(cases, CASES_EACH, fraction);
          const order = { ...lane, scenarios: shuffled(lane.scenarios, fraction) };
          return runLane(order, { choose, run, goesOn, onScenario });
        }),
      );
      report(run);
      expect(problemsOf(run)).toEqual([]);
      expect(run.results.length).toBeGreaterThan(0);
    },
  );
});

function problemsOf({ results, broken }: ReturnType<typeof newRun>): string[] {
  const bad = results.filter(({ leftovers }) => leftovers.length > 0);
  return [
    ...broken,
    ...bad.map(({ scenario, dying }) => `${scenario.name}: ${JSON.stringify(dying)}`),
  ];
}

function report(run: ReturnType<typeof newRun>): void {
  const bad = run.results.filter(({ leftovers }) => leftovers.length > 0).length;
  console.log(`${run.results.length} deaths, ${bad} left something`);
  if (run.broken.length > 0) console.log(`not run to their end: ${run.broken.join("\n")}`);
  console.log(`undone at least once: ${[...run.undone].sort().join(", ")}`);
}
