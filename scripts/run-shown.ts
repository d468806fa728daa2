import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { isAbsent } from "../src/util/errno.ts";
import { Failure } from "./run-program.ts";

/**
 * Runs a program whose output is this program's own. True if it succeeds.
 *
 * @throws Failure if it cannot be started, or if this program is told to end meanwhile: the child is told
 *   too, and has ended.
 */
export async function runShown(command: string, ...args: readonly string[]): Promise<boolean> {
  const child = spawn(command, args, { stdio: "inherit" });
  let received: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    received = signal;
    // A terminal gives its interrupt to the child by itself.
    if (signal === "SIGTERM") child.kill(signal);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  try {
    const code = await promise;
    if (received === undefined) return code === 0;
  } catch (error) {
    throw isAbsent(error) ? new Failure(`there is no program ${command}`) : error;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
  throw new Failure(`ended by ${received}`, { exitCode: 128 + constants.signals[received] });
}

/** vitest, with what all its runs have in common. */
export function runTests(...args: readonly string[]): Promise<boolean> {
  // Node reads the configuration itself: nothing is written beside it, where this user may not write.
  return runShown("vitest", "run", "--configLoader", "native", ...args);
}
