import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { until } from "../../src/util/until.ts";
import { PROJECT } from "../e2e/program.ts";
import type { LogWatch } from "./log-watch.ts";
import { watchLog } from "./log-watch.ts";

/** Node's own heap must be below the limit too: the rest is buffers, code and stacks. */
const HEAP_MIB = 384;
const START_TIMEOUT_MS = 60_000;

export type TargetName = "api" | "node" | "agent";

/** A server under attack. */
export interface Target {
  readonly name: TargetName;
  readonly url: string;
  readonly pid: number;
  readonly log: LogWatch;
  readonly token: string;
  hasEnded(): boolean;
  /** Makes it collect its garbage. */
  collect(): void;
  /** Ends it normally. Resolves to its exit code, -1 after a signal. */
  stop(): Promise<number>;
}

export interface TargetOptions {
  readonly name: TargetName;
  readonly folder: string;
  readonly token: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly onLine: (line: string) => void;
}

/** Starts a server and waits until it reports its address. */
export async function startTarget(options: TargetOptions): Promise<Target> {
  const { name, folder, token, onLine } = options;
  mkdirSync(folder, { recursive: true });
  const logFile = join(folder, `${name}.log`);
  // A file and not a pipe: a busy reader would block the server.
  const output = openSync(logFile, "a");
  const log = watchLog(logFile, onLine);
  const child = spawn(options.command, options.args, {
    cwd: PROJECT,
    stdio: ["ignore", output, output],
    env: environment(),
  });
  closeSync(output);
  const url = await untilReady(name, child, log);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    ...{ name, url, pid: child.pid ?? 0, log, token, hasEnded },
    collect: () => void child.kill("SIGUSR2"),
    async stop() {
      if (!hasEnded()) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      log.stop();
      return child.exitCode ?? -1;
    },
  };
}

function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...others } = process.env;
  const hook = fileURLToPath(new URL("collect-child.ts", import.meta.url));
  return {
    ...others,
    NODE_OPTIONS: `--expose-gc --max-old-space-size=${HEAP_MIB} --import ${hook}`,
    NODE_COMPILE_CACHE: join(PROJECT, ".cache/node"),
    no_proxy: "127.0.0.1",
  };
}

async function untilReady(name: string, child: ChildProcess, log: LogWatch): Promise<string> {
  const ready = () => {
    if (child.exitCode !== null) {
      throw new Error(`${name} ended with ${child.exitCode}:\n${log.last().join("\n")}`);
    }
    log.read();
    return log.url();
  };
  return await until(ready, {
    timeoutMs: START_TIMEOUT_MS,
    onTimeout: () => new Error(`${name} is not ready:\n${log.last().join("\n")}`),
  });
}
