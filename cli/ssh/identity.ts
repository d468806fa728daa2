import { access, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";

/** Checks the file before the first call. @throws CliError if it does not exist. */
export async function checkIdentity(path: string): Promise<void> {
  await access(path).catch((reason: unknown) => {
    throw new CliError(`--identity: ${path} does not exist`, undefined, reason);
  });
}

/**
 * Calls `use` with a key file that ssh accepts: the file itself, or a private copy if others can read the file,
 * as after a git checkout, which does not keep such permissions. The copy is removed at the end.
 */
export async function withPrivateIdentity<T>(
  cli: CliContext,
  path: string | undefined,
  use: (path: string | undefined) => Promise<T>,
): Promise<T> {
  if (path === undefined || path.endsWith(".pub")) return await use(path);
  if (((await stat(path)).mode & 0o077) === 0) return await use(path);
  const key = await readFile(path).catch((reason: unknown) => {
    throw new CliError(`--identity: cannot read ${path}`, undefined, reason);
  });
  cli.say(
    `${path} can be read by other users, and ssh refuses such a key: n0cli uses a private copy and removes it afterwards.`,
  );
  const folder = await mkdtemp(join(tmpdir(), "n0cli-identity-"));
  try {
    const copy = join(folder, "key");
    await writeFile(copy, key, { mode: 0o600, flag: "wx" });
    return await use(copy);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
