import { spawn } from "node:child_process";
import { COMMAND_ENV, CommandError } from "./run-command.ts";

export interface BoundCommandOptions {
  /** After this the process is sent SIGKILL. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called with what the command prints, as it prints it. */
  readonly onStdout?: (text: string) => void;
}

const OUTPUT_CHARACTERS_MAX = 4 * 1024 * 1024;

/**
 * Runs `file` with `args` and answers the head of its standard output. It differs from `runCommand` in
 * two things, for commands that write files for a long time: the command dies with this process, also
 * where that is killed (`setpriv` of util-linux sets PR_SET_PDEATHSIG, which costs about half a
 * millisecond); and when this settles, the command has ended, so that what it wrote can be removed.
 *
 * @throws CommandError for an exit code other than 0, a signal, a timeout, or a file that is not there;
 *   the signal's reason once that aborts.
 */
export function runBoundCommand(
  file: string,
  args: readonly string[],
  { timeoutMs, signal, onStdout }: BoundCommandOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", file, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: COMMAND_ENV,
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    const kill = () => child.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });

    let stdout = "";
    let stderr = "";
    let startError: unknown;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < OUTPUT_CHARACTERS_MAX) stdout += text;
      onStdout?.(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (stderr.length < OUTPUT_CHARACTERS_MAX) stderr += text;
    });
    child.on("error", (error) => {
      startError = error;
    });
    child.on("close", (exitCode) => {
      signal.removeEventListener("abort", kill);
      if (signal.aborted) reject(signal.reason);
      else if (exitCode === 0) resolve(stdout);
      else {
        const code = exitCode === null || exitCode < 0 ? undefined : exitCode;
        reject(new CommandError([file, ...args], code, child.killed, stderr, startError));
      }
    });
  });
}
