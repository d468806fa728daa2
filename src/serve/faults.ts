import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import {
  FAULT_POINTS,
  type FaultPlace,
  type Faults,
  killAt,
  noFaults,
} from "../transaction/faults.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { ifThereSync } from "../util/errno.ts";
import type { Log } from "../util/log.ts";

const HOLD_POLL_MS = 5;

/** The content of the file that a test writes. */
const planSchema = z.object({
  point: z.enum(FAULT_POINTS),
  kind: z.string(),
  step: z.string(),
  seq: z.number(),
  /** `hold` writes `<file>.held`, and goes on when the file is removed. */
  action: z.enum(["kill", "hold"]),
});

/**
 * For tests that kill a process at a chosen moment. These are no settings, and the log warns about them.
 *
 * - `N0_FAULT=after_act:domain.start_new:1` makes it kill itself with SIGKILL when that point is reached.
 * - `N0_FAULT_FILE` names a file that is read at each point: a place, and whether to die or to stop there.
 * - `N0_FAULT_TRACE` names a file that gets a line of JSON for each point reached.
 */
export function faultsFromEnvironment(env: NodeJS.ProcessEnv, log: Log): Faults {
  const kill = () => process.kill(process.pid, "SIGKILL");
  const found: Faults[] = [];
  const trace = env["N0_FAULT_TRACE"] ?? "";
  const text = env["N0_FAULT"] ?? "";
  const file = env["N0_FAULT_FILE"] ?? "";
  if (trace !== "") found.push((place) => appendFileSync(trace, `${JSON.stringify(place)}\n`));
  if (text !== "") found.push(killAt(text, kill));
  if (file !== "") found.push(planned(file, kill));
  if (found.length === 0) return noFaults;
  log.warn("this process may kill itself", { at: text, file, trace });
  return async (place) => {
    for (const fault of found) await fault(place);
  };
}

function planned(file: string, kill: () => void): Faults {
  return async (place) => {
    const plan = readPlan(file);
    if (plan === undefined || !isAt(plan, place)) return;
    if (plan.action === "kill") return kill();
    writeFileSync(`${file}.held`, "");
    while (existsSync(file)) await systemClock.sleep(HOLD_POLL_MS);
  };
}

/**
 * Undefined if there is none, also if it is removed at this moment, because a failure here would be one
 * more fault.
 */
function readPlan(file: string): z.infer<typeof planSchema> | undefined {
  const text = ifThereSync(() => readFileSync(file, "utf8"));
  return text === undefined ? undefined : planSchema.parse(JSON.parse(text));
}

function isAt(a: FaultPlace, b: FaultPlace): boolean {
  return a.point === b.point && a.kind === b.kind && a.step === b.step && a.seq === b.seq;
}

/** Also for tests: `N0_CLOCK_FILE` names a file with the milliseconds by which the wall clock is wrong. */
export function clockFromEnvironment(env: NodeJS.ProcessEnv, log: Log): Clock {
  const file = env["N0_CLOCK_FILE"] ?? "";
  if (file === "") return systemClock;
  log.warn("this process has a wrong clock", { file });
  const offsetMs = () => (existsSync(file) ? Number(readFileSync(file, "utf8")) : 0);
  return { ...systemClock, nowMs: () => systemClock.nowMs() + offsetMs() };
}
