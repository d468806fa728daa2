import { execFile } from "node:child_process";
import { defined } from "../../util/defined.ts";

export interface CommandOptions {
  /** Sends SIGKILL to the process after this time. There is no default: each caller knows its limit. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The text for the standard input, which is closed after it. */
  readonly input?: string;
}

/** Runs a command on this node and returns its standard output. */
export type RunCommand = (
  file: string,
  args: readonly string[],
  options: CommandOptions,
) => Promise<string>;

const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;

/** LC_ALL=C, so that the output does not change with the locale of the node. */
export const COMMAND_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } as const;

/**
 * Runs `file` with `args`. Uses no shell, so nothing needs quotes.
 *
 * @throws CommandError for an exit code other than 0, a signal, a timeout, or a missing file.
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
    // If a command exits before it has read its input, its exit code decides, not EPIPE.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input ?? "");
  });

/** Lets a driver tell "already gone" from "broken". No client sees it. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly argv: readonly string[];
  /** Undefined if the process did not exit by itself. */
  readonly exitCode: number | undefined;
  /** Its timeout or its signal killed the process. */
  readonly killed: boolean;
  readonly stderr: string;
  /** What killed it, if known. */
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
