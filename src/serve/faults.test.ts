import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { FaultPlace } from "../transaction/faults.ts";
import { noFaults } from "../transaction/faults.ts";
import { systemClock } from "../util/clock.ts";
import { silentLog } from "../util/log.ts";
import { clockFromEnvironment, faultsFromEnvironment } from "./faults.ts";

const folder = mkdtempSync(join(tmpdir(), "n0-faults-"));
afterAll(() => rmSync(folder, { recursive: true }));

const PLACE: FaultPlace = { point: "after_act", kind: "ApplyNode", step: "a.b", seq: 2 };

test("without anything in the environment there are none", () => {
  expect(faultsFromEnvironment({ N0_FAULT: "" }, silentLog)).toBe(noFaults);
});

test("an unknown point is refused at the start", () => {
  expect(() => faultsFromEnvironment({ N0_FAULT: "somewhere" }, silentLog)).toThrow("somewhere");
});

test("each place is traced, and the planned one holds until the file is gone", async () => {
  const file = join(folder, "plan");
  const trace = join(folder, "trace");
  const faults = faultsFromEnvironment({ N0_FAULT_FILE: file, N0_FAULT_TRACE: trace }, silentLog);
  await faults(PLACE);
  writeFileSync(file, JSON.stringify({ ...PLACE, action: "hold" }));
  await faults({ ...PLACE, seq: 3 });
  expect(existsSync(`${file}.held`)).toBe(false);

  let isOn = false;
  const held = Promise.resolve(faults(PLACE)).then(() => {
    isOn = true;
  });
  await expect.poll(() => existsSync(`${file}.held`)).toBe(true);
  expect(isOn).toBe(false);
  rmSync(file);
  await held;
  const seqs = readFileSync(trace, "utf8").trim().split("\n");
  expect(seqs.map((line) => (JSON.parse(line) as FaultPlace).seq)).toEqual([2, 3, 2]);
});

test("a plan that is none is an error, not a fault that never comes", async () => {
  const file = join(folder, "broken");
  writeFileSync(file, JSON.stringify({ ...PLACE, action: "explode" }));
  const faults = faultsFromEnvironment({ N0_FAULT_FILE: file }, silentLog);
  await expect(faults(PLACE)).rejects.toThrow("action");
});

test("the wall clock is set by a file, and nothing else is", () => {
  const file = join(folder, "clock");
  const clock = clockFromEnvironment({ N0_CLOCK_FILE: file }, silentLog);
  expect(Math.abs(clock.nowMs() - Date.now())).toBeLessThan(60_000);
  writeFileSync(file, "-3600000");
  expect(Math.abs(clock.nowMs() + 3_600_000 - Date.now())).toBeLessThan(60_000);
  expect(Math.abs(clock.monotonicMs() - performance.now())).toBeLessThan(60_000);
  expect(clockFromEnvironment({}, silentLog)).toBe(systemClock);
});
