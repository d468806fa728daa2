import { until } from "../../src/util/until.ts";
import type { Place } from "./place.ts";
import type { Cli } from "./server.ts";

/** Generous, because the host may be busy. The tiny guest usually takes ten seconds. */
const BOOT_TIMEOUT_MS = 120_000;
/** Each attempt starts three programs, which take processor time from the booting guest. */
const ATTEMPT_INTERVAL_MS = 1000;

/** Runs a command in the guest, through `n0cli vm ssh`. */
export async function inGuest(
  cli: Cli,
  place: Pick<Place, "keyFile">,
  name: string,
  command: string,
): Promise<string> {
  return await cli.must("vm", "ssh", name, "-i", place.keyFile, "--", command);
}

/** Waits until the guest answers as its login user. Returns the seconds that it took. */
export async function untilSshAnswers(
  cli: Cli,
  place: Pick<Place, "keyFile">,
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
