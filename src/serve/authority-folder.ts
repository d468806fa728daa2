import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Authority } from "../rpc/certificate/authority.ts";
import type { Clock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import type { Random } from "../util/random.ts";
import { flushFolder, writeDurably } from "./durable-file.ts";

const KEY = "key.pem";
export const AUTHORITY_CERTIFICATE = "certificate.pem";

/** The folder of the authority's key and certificate. */
export function authorityFolder(baseDirectory: string): string {
  return join(baseDirectory, "authority");
}

export function hasAuthority(baseDirectory: string): boolean {
  return existsSync(authorityFolder(baseDirectory));
}

/**
 * Opens the certificate authority of this API. Makes it at the first start: completely or not at all, wherever
 * the API dies. The caller has the lock of the base directory, so no other API makes one here. Several APIs
 * would need the same authority; nothing but this function knows where it is kept.
 *
 * @throws N0Error `failed_precondition` if it cannot be made or read.
 */
export async function ensureAuthority(
  baseDirectory: string,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Log },
): Promise<Authority> {
  const folder = authorityFolder(baseDirectory);
  const { newAuthorityFiles, openAuthority } = await import("../rpc/certificate/authority.ts");
  try {
    const fresh = `${folder}.new`;
    // The remains of an earlier start that died.
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(folder)) {
      const files = await newAuthorityFiles(clock.nowMs(), random);
      mkdirSync(fresh, { recursive: true, mode: 0o700 });
      writeDurably(join(fresh, KEY), files.key);
      writeDurably(join(fresh, AUTHORITY_CERTIFICATE), files.certificate);
      flushFolder(fresh);
      renameSync(fresh, folder);
      flushFolder(baseDirectory);
      log.info("made the certificate authority of the nodes", { folder });
    }
    const keyFile = join(folder, KEY);
    if ((statSync(keyFile).mode & 0o077) !== 0) {
      throw new Error(`others can read ${keyFile}: run chmod 600 ${keyFile}`);
    }
    const key = readFileSync(keyFile, "utf8");
    const certificate = readFileSync(join(folder, AUTHORITY_CERTIFICATE), "utf8");
    return await openAuthority({ key, certificate }, random);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new N0Error(
      "failed_precondition",
      `the certificate authority in ${folder} cannot be used: ${reason}`,
      { cause },
    );
  }
}
