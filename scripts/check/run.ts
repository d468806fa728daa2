import { spawn } from "node:child_process";
import { isAbsent } from "../../src/util/errno.ts";
import { Failure } from "../run-program.ts";

/** Runs a program to its end and returns its output of both streams. @throws Failure if it does not exist. */
export async function run(
  command: string,
  args: readonly string[],
): Promise<{ readonly isGood: boolean; readonly output: string }> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  const onError = (error: Error) =>
    reject(isAbsent(error) ? new Failure(`the program ${command} does not exist`) : error);
  child.on("error", onError).on("close", resolve);
  const code = await promise;
  return { isGood: code === 0, output: Buffer.concat(chunks).toString("utf8") };
}

/**
 * The lines that a program prints if it fails; none if it succeeds.
 *
 * @throws Failure if the program does not exist.
 */
export async function failures(
  command: string,
  ...args: readonly string[]
): Promise<readonly string[]> {
  const { isGood, output } = await run(command, args);
  if (isGood) return [];
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  return lines.length > 0 ? lines : [`${command} ${args.join(" ")} failed and printed nothing`];
}

/**
 * Every file that git tracks or would add, without ignored ones. Paths are relative to the project.
 *
 * @throws Failure if git is missing, or this is not a git checkout.
 */
export async function projectFiles(): Promise<readonly string[]> {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];
  const { isGood, output } = await run("git", args);
  if (!isGood) throw new Failure(`git ls-files: ${output.trim()}`);
  return output.split("\n").filter((path) => path !== "");
}
