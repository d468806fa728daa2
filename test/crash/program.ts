import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { until } from "../../src/util/until.ts";
import { bundle } from "./bundle.ts";

const START_TIMEOUT_MS = 60_000;

/** One of the servers under test, over all its lives. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  readonly isRunning: boolean;
  /** Starts it and waits until it is ready. @returns false if it died before that. */
  start(moreArgs?: readonly string[]): Promise<boolean>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when it has ended, and at once if it does not run. */
  ended(): Promise<void>;
  log(): string;
}

export interface ProgramOptions {
  readonly name: string;
  /** The folder of its pid file and its log. */
  readonly folder: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export function newProgram({ name, folder, args, env = {} }: ProgramOptions): Program {
  const { main, compileCache } = bundle();
  const pidFile = join(folder, `${name}.pid`);
  const logFile = join(folder, `${name}.log`);
  let child: ChildProcess | undefined;
  let end: Promise<void> = Promise.resolve();
  const program: Program = {
    name,
    get pid() {
      if (child?.pid === undefined) throw new Error(`${name} was never started`);
      return child.pid;
    },
    get isRunning() {
      return child !== undefined && child.exitCode === null && child.signalCode === null;
    },
    async start(moreArgs = []) {
      rmSync(pidFile, { force: true });
      const log = openSync(logFile, "a");
      const started = spawn(
        process.execPath,
        // Like bin/n0core.
        [
          ...["--max-semi-space-size=8", "--disable-warning=ExperimentalWarning", main],
          ...["serve", ...args, ...moreArgs, "--pid-file", pidFile, "--log-file", logFile],
        ],
        {
          cwd: "/",
          stdio: ["ignore", log, log],
          env: { ...process.env, NODE_COMPILE_CACHE: compileCache, ...env },
        },
      );
      closeSync(log);
      child = started;
      const { promise, resolve } = Promise.withResolvers<void>();
      started.on("exit", () => resolve());
      end = promise;
      const look = () =>
        existsSync(pidFile) ? "started" : program.isRunning ? undefined : "ended";
      return (await until(look, { timeoutMs: START_TIMEOUT_MS })) === "started";
    },
    signal(signal) {
      child?.kill(signal);
    },
    ended: () => end,
    log: () => readFileSync(logFile, "utf8").slice(-20_000),
  };
  return program;
}
