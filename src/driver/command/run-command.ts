import { execFile } from "node:child_process";
import { defined } from "../../util/defined.ts";

export interface CommandOptions {
  /** After this the process is sent SIGKILL. There is no default: every caller knows how long is too long. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Written to the standard input, which is then closed. */
  readonly input?: string;
}

/** Starts a command on this node and answers its standard output. */
export type RunCommand = (
  file: string,
  args: readonly string[],
  options: CommandOptions,
) => Promise<string>;

const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;

/** LC_ALL=C, so that what is parsed does not change with the locale of the node. */
export const COMMAND_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } as const;

/**
 * Runs `file` with `args`. No shell, so no quoting.
 *
 * @throws CommandError for an exit code other than 0, a signal, a timeout, or a file that is not there.
 */
export const runCommand: RunCommand = (file, args, { timeoutMs, signal, input }) =>
  new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...args],
      {
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        ...defined({ signal }),
        maxBuffer: OUTPUT_BYTES_MAX,
        env: COMMAND_ENV,
      },
      (cause, stdout, stderr) => {
        if (cause === null) resolve(stdout);
        else {
          const exitCode = typeof cause.code === "number" ? cause.code : undefined;
          reject(new CommandError([file, ...args], exitCode, cause.killed === true, stderr, cause));
        }
      },
    );
    // A command that exits before it has read its input is judged by its exit code, not by EPIPE.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input ?? "");
  });

/** What a driver needs to tell "already gone" from "broken". Never shown to a client. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly argv: readonly string[];
  /** Undefined when the process did not exit by itself. */
  readonly exitCode: number | undefined;
  /** Killed by its timeout or its signal. */
  readonly killed: boolean;
  readonly stderr: string;
  /** What ended it, where that is known. */
  readonly signalName: string | undefined;

  constructor(
    argv: readonly string[],
    exitCode: number | undefined,
    killed: boolean,
    stderr: string,
    cause: unknown,
    signalName?: string | null,
  ) {
    super(
      `${argv.join(" ")}: exit ${exitCode ?? signalName ?? "none"}: ${stderr.trim().slice(0, 500)}`,
      {
        cause,
      },
    );
    this.argv = argv;
    this.exitCode = exitCode;
    this.killed = killed;
    this.stderr = stderr;
    this.signalName = signalName ?? undefined;
  }
}
