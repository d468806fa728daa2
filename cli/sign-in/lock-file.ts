import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import type { Clock } from "../../src/util/clock.ts";
import { errorCode, ifThere } from "../../src/util/errno.ts";
import type { Random } from "../../src/util/random.ts";
import { CliError } from "../errors.ts";

/** Longer than any work takes: who holds the file that long has hung, or died on another computer. */
const HELD_MAX_MS = 30_000;
const WAIT_MAX_MS = 120_000;
const POLL_MS = 50;

/**
 * Runs `work` while no other n0cli of this user runs work with the same lock file. If a process dies with the
 * file, the next one takes it over.
 *
 * @throws CliError if the others do not end.
 */
export async function withLockFile<T>(
  path: string,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  work: () => Promise<T>,
): Promise<T> {
  const own = `${hostname()} ${process.pid} ${random.uuid()}`;
  const startMs = clock.monotonicMs();
  let seen: { readonly holder: string; readonly sinceMs: number } | undefined;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  while (!(await take(path, own))) {
    const nowMs = clock.monotonicMs();
    const holder = await ifThere(readFile(path, "utf8"));
    if (holder === undefined) continue;
    if (seen?.holder !== holder) seen = { holder, sinceMs: nowMs };
    if (isDead(holder) || nowMs - seen.sinceMs > HELD_MAX_MS) await removeOf(holder, path, random);
    else if (nowMs - startMs < WAIT_MAX_MS) await clock.sleep(POLL_MS);
    else throw new CliError(`another n0cli works on your sign-in for too long: remove ${path}`);
  }
  try {
    return await work();
  } finally {
    if ((await ifThere(readFile(path, "utf8"))) === own) await rm(path, { force: true });
  }
}

async function take(path: string, own: string): Promise<boolean> {
  try {
    await writeFile(path, own, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** False also if nobody can know. */
function isDead(holder: string): boolean {
  const [host, pid] = holder.split(" ");
  if (host !== hostname() || !/^[1-9]\d{0,8}$/.test(pid ?? "")) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return errorCode(error) === "ESRCH";
  }
}

async function removeOf(holder: string, path: string, random: Random): Promise<void> {
  const away = `${path}.${random.uuid()}`;
  await ifThere(rename(path, away));
  const moved = await ifThere(readFile(away, "utf8"));
  // Another process was faster, and this file is already its own.
  if (moved !== undefined && moved !== holder) await link(away, path).catch(() => {});
  await rm(away, { force: true });
}
