import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";

export const PROJECT = join(import.meta.dirname, "../..");

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** It is killed after this time. */
  readonly timeoutMs?: number;
}

/** Compiled code goes to the project's cache, not to the user's home. Requests to loopback use no proxy. */
const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  no_proxy: "127.0.0.1",
  NODE_COMPILE_CACHE: join(PROJECT, ".cache/node"),
};

/** Starts a program. A program of the project is written as `bin/n0cli`. Its output is collected. */
export function start(file: string, args: readonly string[], options: ProgramOptions = {}) {
  const child = spawn(file.startsWith("bin/") ? join(PROJECT, file) : file, args, {
    cwd: PROJECT,
    env: { ...ENVIRONMENT, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  if (options.input !== undefined) {
    // A program that does not read its input may have ended before it is written.
    child.stdin.on("error", () => {}).end(options.input);
  }
  return {
    child,
    stdout: collect(child.stdout),
    stderr: collect(child.stderr),
    ended: ended(child),
  };
}

/** Runs a program to its end. */
export async function run(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Answer> {
  const { child, stdout, stderr, ended } = start(file, args, { input: "", ...options });
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
  const code = await ended;
  clearTimeout(timer);
  return { code, stdout: stdout(), stderr: stderr() };
}

/** The output of a program. @throws Error if it fails. */
export async function must(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, options);
  if (code !== 0) throw new Error(`${file} ${args.join(" ")}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** The last line of a script of the project: the path of the thing that it made. */
export async function madeBy(script: string, timeoutMs: number): Promise<string> {
  const out = await must(join(PROJECT, script), [], { timeoutMs });
  return out.trim().split("\n").at(-1) ?? "";
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

async function ended(child: ChildProcess): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on("error", reject).on("close", (code) => resolve(code ?? -1));
  return await promise;
}
