import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../src/util/until.ts";
import type { Place } from "./place.ts";
import { type Answer, must, PROJECT, type ProgramOptions, run, start } from "./program.ts";

export interface Server {
  /** `http://127.0.0.1:port` or with https. */
  readonly url: string;
  readonly pid: number;
  /** The token file that it made at its first start. There is none if its flags name another. */
  readonly tokenFile: string;
  /** The lines of its log. */
  log(): readonly Readonly<Record<string, unknown>>[];
  /** Sends the signal and waits for the end. Returns the exit code, or -1 if a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

export interface ServerOptions {
  readonly role: "standalone" | "api" | "agent";
  /** Tells the servers of one place apart. */
  readonly name?: string;
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** The network namespace in which it runs. */
  readonly namespace?: string;
}

const START_TIMEOUT_MS = 60_000;

/** Starts `n0core serve` and waits until it is ready. Uses a free port by default. */
export async function startServer(
  place: Pick<Place, "baseDirectory">,
  options: ServerOptions,
): Promise<Server> {
  const { role, name = role, flags = [], env = {}, namespace } = options;
  const pidFile = join(place.baseDirectory, `${name}.pid`);
  const logFile = join(place.baseDirectory, `${name}.log`);
  const earlier = readLog(logFile).length;
  const port = flags.includes("--bind-port") ? [] : ["--bind-port", "0"];
  const files = ["--pid-file", pidFile, "--log-file", logFile];
  const args = ["serve", role, ...port, ...files, ...flags];
  const program =
    namespace === undefined
      ? start("bin/n0core", args, { env })
      : start("ip", ["netns", "exec", namespace, join(PROJECT, "bin/n0core"), ...args], { env });
  let code: number | undefined;
  const ended = program.ended.then((value) => {
    code = value;
    return value;
  });
  const onTimeout = () => new Error(`${name} is not ready: ${explain()}`);
  const explain = () =>
    `${program.stderr()}\n${JSON.stringify(readLog(logFile).slice(-5), null, 1)}`;
  const ready = await until(
    () => {
      if (code !== undefined) throw new Error(`${name} ended with ${code}: ${explain()}`);
      return readLog(logFile)
        .slice(earlier)
        .find(({ message }) => message === "ready");
    },
    { timeoutMs: START_TIMEOUT_MS, onTimeout },
  );
  return {
    url: String(ready["url"]),
    pid: Number(ready["pid"]),
    tokenFile: tokenFileIn(place),
    log: () => readLog(logFile),
    async stop(signal = "SIGTERM") {
      program.child.kill(signal);
      return await ended;
    },
  };
}

/** The flags of an agent, or of standalone, in this place. */
export function nodeFlags({ baseDirectory, prefix }: Pick<Place, "baseDirectory" | "prefix">) {
  return [
    ...["--base-directory", baseDirectory],
    ...["--resource-prefix", prefix],
    ...["--accelerator", "tcg"],
  ];
}

function tokenFileIn({ baseDirectory }: Pick<Place, "baseDirectory">): string {
  return join(baseDirectory, "token");
}

/** Runs n0cli with one server. */
export interface Cli {
  run(...args: readonly string[]): Promise<Answer>;
  /** The output of n0cli. @throws Error if it fails. */
  must(...args: readonly string[]): Promise<string>;
  /** The output as JSON. */
  json(...args: readonly string[]): Promise<Json>;
  start(...args: readonly string[]): ReturnType<typeof start>;
  /** A task file from standard input. */
  do(yaml: string): Promise<Answer>;
}

export type Json = { readonly [key: string]: Json } & readonly Json[] & string;

export function newCli(
  server: Pick<Server, "url">,
  place: Pick<Place, "baseDirectory" | "configHome">,
  flags: readonly string[] = [],
): Cli {
  const tokenFile = tokenFileIn(place);
  const options: ProgramOptions = {
    env: {
      XDG_CONFIG_HOME: place.configHome,
      N0CLI_API_ENDPOINT: server.url,
      ...(existsSync(tokenFile) ? { N0CLI_TOKEN_FILE: tokenFile } : {}),
    },
    timeoutMs: 170_000,
  };
  const program = "bin/n0cli";
  const cli: Cli = {
    run: (...args) => run(program, [...flags, ...args], options),
    must: (...args) => must(program, [...flags, ...args], options),
    json: async (...args) => JSON.parse(await cli.must(...args, "-o", "json")) as Json,
    start: (...args) => start(program, [...flags, ...args], options),
    do: (yaml) => run(program, [...flags, "do", "-"], { ...options, input: yaml }),
  };
  return cli;
}

/** Waits until this many nodes are READY. */
export async function untilReady(cli: Cli, count: number): Promise<void> {
  await until(
    async () => {
      const { nodes = [] } = (await cli.json("get", "node")) as { nodes?: { state?: string }[] };
      return nodes.filter(({ state }) => state === "READY").length === count;
    },
    { what: `${count} nodes are READY`, timeoutMs: 30_000 },
  );
}

function readLog(path: string): readonly Readonly<Record<string, unknown>>[] {
  if (!existsSync(path)) return [];
  // The last line may be incomplete.
  const whole = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return whole.map((line) => JSON.parse(line) as Record<string, unknown>);
}
