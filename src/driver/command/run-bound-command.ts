import { spawn } from "node:child_process";
import { COMMAND_ENV, CommandError } from "./run-command.ts";

export interface BoundCommandOptions {
  /** After this the process is sent SIGKILL. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called with what the command prints, as it prints it, however much that is. It is not kept then. */
  readonly onStdout?: (text: string) => void;
  /** Open files of this process, which the command has as 3 and on. */
  readonly files?: readonly number[];
}

/** What a command printed is longer than anybody will read, and must not be taken for all of it. */
export class OutputTooLongError extends Error {
  override name = "OutputTooLongError";
}

const OUTPUT_CHARACTERS_MAX = 4 * 1024 * 1024;
const ERRORS_CHARACTERS_MAX = 64 * 1024;

/** glibc reserves much address space for each thread; where that has a limit, two such areas are enough. */
const ENV = { ...COMMAND_ENV, MALLOC_ARENA_MAX: "2" };

/**
 * Runs `file` with `args` and answers its standard output. The command cannot become more than it is
 * (no_new_privs). It differs from `runCommand` in two things, for commands that write files for a long time: the command dies with this process, also
 * where that is killed (`setpriv` of util-linux sets PR_SET_PDEATHSIG, which costs about half a
 * millisecond); and when this settles, the command has ended, so that what it wrote can be removed.
 *
 * @throws CommandError for an exit code other than 0, a signal, a timeout, or a file that is not there;
 *   OutputTooLongError; the signal's reason once that aborts.
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
