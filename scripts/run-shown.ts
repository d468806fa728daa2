import { spawn } from "node:child_process";

/** Runs a program whose output is this program's own. True if it succeeds. */
export async function runShown(command: string, ...args: readonly string[]): Promise<boolean> {
  const child = spawn(command, args, { stdio: "inherit" });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  return (await promise) === 0;
}
