import { spawn } from "node:child_process";
import { COMMAND_ENV, CommandError } from "./run-command.ts";

export interface BoundCommandOptions {
  /** Sends SIGKILL to the process after this time. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called with the output while the command prints it, without a limit. The result is then empty. */
  readonly onStdout?: (text: string) => void;
  /** Open files of this process. The command gets them as descriptors 3 and on. */
  readonly files?: readonly number[];
}

/** The command printed more than the limit. Its output must not be used as if it were complete. */
export class OutputTooLongError extends Error {
  override name = "OutputTooLongError";
}

const OUTPUT_CHARACTERS_MAX = 4 * 1024 * 1024;
const ERRORS_CHARACTERS_MAX = 64 * 1024;

/**
 * glibc reserves much address space for each thread. For a process with a limit of it, two such areas are
 * enough.
 */
const ENV = { ...COMMAND_ENV, MALLOC_ARENA_MAX: "2" };

/**
 * Runs `file` with `args` and returns its standard output. The command cannot gain privileges (no_new_privs).
 * It is for commands that write files for a long time, and differs from `runCommand` in two things. The command
 * dies with this process, even if that is killed (`setpriv` of util-linux sets PR_SET_PDEATHSIG, which costs
 * about half a millisecond). And the command has ended when the promise settles, so that its files can be
 * removed.
 *
 * @throws CommandError for an exit code other than 0, a signal, a timeout, or a missing file;
 * OutputTooLongError; the reason of the signal if it aborts.
 */
export function runBoundCommand(
  file: string,
  args: readonly string[],
  { timeoutMs, signal, onStdout, files = [] }: BoundCommandOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const bound = ["--pdeathsig", "KILL", "--no-new-privs", "--", file, ...args];
    const child = spawn("setpriv", bound, {
      stdio: ["ignore", "pipe", "pipe", ...files],
      env: ENV,
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    const kill = () => child.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });

    let stdout = "";
    let stderr = "";
    let startError: unknown;
    let isTooLong = false;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (onStdout !== undefined) onStdout(text);
      else if (stdout.length + text.length <= OUTPUT_CHARACTERS_MAX) stdout += text;
      else {
        isTooLong = true;
        kill();
      }
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-ERRORS_CHARACTERS_MAX);
    });
    child.on("error", (error) => {
      startError = error;
    });
    child.on("close", (exitCode, signalName) => {
      signal.removeEventListener("abort", kill);
      if (signal.aborted) reject(signal.reason);
      else if (isTooLong) {
        reject(
          new OutputTooLongError(`${file} printed more than ${OUTPUT_CHARACTERS_MAX} characters`),
        );
      } else if (exitCode === 0) resolve(stdout);
      else {
        const code = exitCode === null || exitCode < 0 ? undefined : exitCode;
        reject(
          new CommandError([file, ...args], code, child.killed, stderr, startError, signalName),
        );
      }
    });
  });
}
