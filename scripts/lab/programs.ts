import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { Failure } from "../run-program.ts";
import { configHomeOf, type Lab, PROJECT } from "./lab.ts";
import { markOf } from "./processes.ts";

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 16 << 20;
const execute = promisify(execFile);

// The user's settings for another cloud must not lead our programs there.
const inherited = Object.entries(process.env).filter(([key]) => !/^N0(?:CLI|CORE)_/.test(key));

/** The environment of everything that the lab starts. */
export const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...Object.fromEntries(inherited),
  // Compiled code goes to the project, not to the user's home.
  NODE_COMPILE_CACHE: join(PROJECT, ".cache/node"),
};

export interface Answer {
  readonly isGood: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

interface Options {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end. */
export async function ask(
  file: string,
  args: readonly string[],
  { env = ENVIRONMENT, input = "", timeoutMs = TIMEOUT_MS }: Options = {},
): Promise<Answer> {
  const options = {
    env,
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    maxBuffer: OUTPUT_BYTES_MAX,
  } as const;
  const running = execute(file, args, options);
  // A program that does not read its input may have ended before it is written.
  running.child.stdin?.on("error", () => {}).end(input);
  try {
    return { isGood: true, ...(await running) };
  } catch (error) {
    const { stdout = "", stderr = "" } = error as Partial<Answer>;
    return { isGood: false, stdout, stderr: stderr === "" ? String(error) : stderr };
  }
}

/** The output of a program. @throws Failure if it fails. */
export async function must(
  file: string,
  args: readonly string[],
  options?: Options,
): Promise<string> {
  const { isGood, stdout, stderr } = await ask(file, args, options);
  if (!isGood) throw new Failure(`${file} ${args.join(" ")}: ${stderr.trim()}`);
  return stdout;
}

/** With the mark of the lab: `down` ends n0cli too if this program is killed meanwhile. */
export function n0cliEnvironment(lab: Lab): NodeJS.ProcessEnv {
  return { ...ENVIRONMENT, ...markOf(lab), XDG_CONFIG_HOME: configHomeOf(lab) };
}

/** Runs n0cli on this computer, with the API of the lab. */
export function askN0cli(lab: Lab, ...args: readonly string[]): Promise<Answer> {
  return ask(join(PROJECT, "bin/n0cli"), args, { env: n0cliEnvironment(lab) });
}
