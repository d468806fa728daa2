import { spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { projectFiles } from "../../scripts/check/run.ts";

export const PROJECT = join(import.meta.dirname, "../..");
const USERS = { root: 0, "an ordinary user": 1000 } as const;
export type User = keyof typeof USERS;
const TIMEOUT_MS = 5 * 60_000;

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A checkout of the project in its present state, owned by an ordinary user, on a host that nobody has
 * prepared.
 */
export interface Checkout extends AsyncDisposable {
  readonly folder: string;
  /**
   * Runs a command there, with or without the Debian packages of this host. Everything that it starts ends with
   * it: when it ends, when its stdout has `until`, or after five minutes.
   */
  run(
    user: User,
    packages: "packages" | "no-packages",
    command: readonly string[],
    until?: string,
  ): Promise<Outcome>;
}

export async function newCheckout(): Promise<Checkout> {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "n0-checkout-"));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  await copyProject(folder);
  const run: Checkout["run"] = (user, packages, command, until) => {
    const place = [folder, join(PROJECT, "node_modules"), String(USERS[user]), packages];
    return runUnprepared([...place, ...command], until);
  };
  const { code, stderr } = await run("root", "packages", ["git", "init", "-q", "."]);
  if (code !== 0) throw new Error(`unprepared-host.sh: ${stderr}`);
  const parts = opened.move();
  return { folder, run, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function copyProject(folder: string): Promise<void> {
  const own = (path: string) => {
    const uid = USERS["an ordinary user"];
    chownSync(join(folder, path), uid, uid);
  };
  own(".");
  const made = new Set(["."]);
  const makeFolder = (path: string) => {
    if (made.has(path)) return;
    makeFolder(dirname(path));
    made.add(path);
    mkdirSync(join(folder, path));
    own(path);
  };
  for (const path of await projectFiles()) {
    // Git also lists a file that was deleted and not committed.
    if (!existsSync(join(PROJECT, path))) continue;
    makeFolder(dirname(path));
    // With its time: otherwise npm would install packages that are older than the lock file again.
    await cp(join(PROJECT, path), join(folder, path), { preserveTimestamps: true });
    own(path);
  }
  makeFolder("node_modules");
}

async function runUnprepared(args: readonly string[], until: string | undefined): Promise<Outcome> {
  const { CI: _, ...environment } = process.env;
  const child = spawn(join(import.meta.dirname, "unprepared-host.sh"), args, {
    stdio: ["ignore", "pipe", "pipe"],
    // The checkout belongs to the ordinary user, also for root.
    env: {
      ...environment,
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
    },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    if (until !== undefined && stdout.includes(until)) child.kill("SIGKILL");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  const code = await promise;
  clearTimeout(timer);
  return { code, stdout, stderr };
}
