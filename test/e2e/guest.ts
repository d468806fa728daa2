import { until } from "../../src/util/until.ts";
import type { Place } from "./place.ts";
import type { Cli } from "./server.ts";

/** Generous: the machine may be busy. Ten seconds are usual for the tiny guest. */
const BOOT_TIMEOUT_MS = 120_000;
/** Each attempt starts three programs, and takes the processor from the guest that boots. */
const ATTEMPT_INTERVAL_MS = 1000;

/** Runs a command in the guest, through `n0cli vm ssh`. */
export async function inGuest(
  cli: Cli,
  place: Place,
  name: string,
  command: string,
): Promise<string> {
  return await cli.must("vm", "ssh", name, "-i", place.keyFile, "--", command);
}

/** Waits until the guest answers as its login user. Seconds that it took. */
export async function untilSshAnswers(
  cli: Cli,
  place: Place,
  name: string,
  timeoutMs: number = BOOT_TIMEOUT_MS,
): Promise<number> {
  const startMs = performance.now();
  let last = "";
  await until(
    async () => {
      const { code, stderr } = await cli.run("vm", "ssh", name, "-i", place.keyFile, "--", "true");
      last = stderr;
      return code === 0;
    },
    {
      timeoutMs,
      everyMs: ATTEMPT_INTERVAL_MS,
      onTimeout: () => new Error(`${name} does not answer on SSH: ${last}`),
    },
  );
  return (performance.now() - startMs) / 1000;
}
