import { spawn } from "node:child_process";

/** Runs a program to its end and keeps what it prints, on either stream. */
export async function run(
  command: string,
  args: readonly string[],
): Promise<{ readonly isGood: boolean; readonly output: string }> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  const code = await promise;
  return { isGood: code === 0, output: Buffer.concat(chunks).toString("utf8") };
}

/**
 * The lines that a program prints if it fails; none if it succeeds.
 *
 * @throws Error if it cannot be started.
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

/** Every file that git knows or would add, so nothing ignored. Paths from the root of the project. */
export async function projectFiles(): Promise<readonly string[]> {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];
  const { isGood, output } = await run("git", args);
  if (!isGood) throw new Error(`git ls-files: ${output.trim()}`);
  return output.split("\n").filter((path) => path !== "");
}
