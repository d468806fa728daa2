import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { isAbsent } from "../src/util/errno.ts";
import { Failure } from "./run-program.ts";

/**
 * Runs a program with the output of this program. Returns true if it succeeds.
 *
 * @throws Failure if it cannot be started, or if this program gets a signal in the meantime. The child gets the
 * signal too, and has ended then.
 */
export async function runShown(command: string, ...args: readonly string[]): Promise<boolean> {
  const child = spawn(command, args, { stdio: "inherit" });
  let received: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    received = signal;
    // A terminal sends its interrupt to the child directly.
    if (signal === "SIGTERM") child.kill(signal);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  try {
    const code = await promise;
    if (received === undefined) return code === 0;
  } catch (error) {
    throw isAbsent(error) ? new Failure(`the program ${command} does not exist`) : error;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
  throw new Failure(`ended by ${received}`, { exitCode: 128 + constants.signals[received] });
}

/** vitest, with the arguments that all its runs share. */
export function runTests(...args: readonly string[]): Promise<boolean> {
  // Node reads the configuration itself, because this user may not be able to write beside it.
  return runShown("vitest", "run", "--configLoader", "native", ...args);
}
