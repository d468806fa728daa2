import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 64 << 20;

/** The output of a program. @throws Error if it fails. */
export async function read(file: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(file, args, { maxBuffer: OUTPUT_BYTES_MAX, timeout: 60_000 });
  return stdout;
}

/** The output of a program as JSON; `undefined` if there is none. */
export async function readJson(file: string, ...args: readonly string[]): Promise<unknown> {
  const text = await read(file, ...args);
  return text.trim() === "" ? undefined : JSON.parse(text);
}

/** An object with its keys in order, so that two scans compare as text. */
export function byKey<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function lines(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}
