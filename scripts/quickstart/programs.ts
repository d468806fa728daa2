import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { API_ENDPOINT, OWN_FOLDER, PROJECT } from "./places.ts";
import { QuickstartError } from "./progress.ts";

// The user's settings for another cloud must not lead our programs there, least of all to remove something.
const inherited = Object.entries(process.env).filter(([key]) => !/^N0(?:CLI|CORE)_/.test(key));

/** The environment of everything that we start. */
export const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...Object.fromEntries(inherited),
  N0CLI_API_ENDPOINT: API_ENDPOINT,
  // n0cli's contexts, and ssh's known hosts: removed with the rest.
  XDG_CONFIG_HOME: OWN_FOLDER,
  // Compiled code goes to the project, not to the user's home.
  NODE_COMPILE_CACHE: join(PROJECT, ".cache/node"),
};

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the project to its end and returns its output. */
export async function ask(program: string, args: readonly string[]): Promise<Answer> {
  const stdio = ["ignore", "pipe", "pipe"] as const;
  const child = spawn(join(PROJECT, program), args, {
    cwd: PROJECT,
    stdio: [...stdio],
    env: ENVIRONMENT,
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const code = await ended(child);
  return { code, stdout: stdout(), stderr: stderr() };
}

/**
 * Runs a program of the project, and shows its messages among ours. Returns its standard output, and shows that
 * too if `isShown`.
 *
 * @throws QuickstartError if it fails.
 */
export async function must(
  program: string,
  args: readonly string[],
  { input = "", isShown = false }: { input?: string; isShown?: boolean } = {},
): Promise<string> {
  const child = spawn(join(PROJECT, program), args, {
    cwd: PROJECT,
    stdio: ["pipe", "pipe", "inherit"],
    env: ENVIRONMENT,
  });
  // A program that does not read its input may have ended before it is written.
  child.stdin.on("error", () => {}).end(input);
  const stdout = collect(child.stdout);
  if (isShown) child.stdout.pipe(process.stdout, { end: false });
  const code = await ended(child);
  if (code !== 0) throw new QuickstartError(`${program} ${args.join(" ")} failed; see above`);
  return stdout();
}

/** Runs n0cli. */
export function askN0cli(...args: readonly string[]): Promise<Answer> {
  return ask("bin/n0cli", args);
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

async function ended(child: ReturnType<typeof spawn>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on("error", reject).on("close", (code, signal) => resolve(code ?? (signal ? 1 : 0)));
  return await promise;
}
