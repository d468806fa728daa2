import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ifThere } from "../../src/util/errno.ts";
import type { Random } from "../../src/util/random.ts";
import type { Connection } from "../connection.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { configFolder } from "../settings.ts";

/** What n0cli keeps of a sign-in: one file for each API, which only its owner can read. */
export type StoredSignIn = OidcSignIn | PasswordSignIn;

interface SignedIn {
  /** The API whose tokens these are. */
  readonly endpoint: string;
  /** The user of this computer who served the API on loopback at the sign-in. */
  readonly server_uid?: number;
  /** By the clock of this computer, which may differ from the issuer's. */
  readonly stored_ms: number;
  readonly lifetime_ms: number;
}

/** Of a user with a password. */
export interface PasswordSignIn extends SignedIn {
  readonly principal: string;
  readonly session_token: string;
}

/** At a provider. */
export interface OidcSignIn extends SignedIn {
  readonly issuer: string;
  readonly client_id: string;
  readonly subject: string;
  readonly token_endpoint: string;
  readonly revocation_endpoint?: string;
  readonly id_token: string;
  readonly refresh_token?: string;
}

export function isSession(signIn: StoredSignIn): signIn is PasswordSignIn {
  return "session_token" in signIn;
}

export function signInPath(io: Pick<Io, "env" | "homeFolder">, baseUrl: string): string {
  return join(configFolder(io), "sign-ins", `${encodeURIComponent(baseUrl)}.json`);
}

/** Adds the sign-in at this API, if no token is configured. */
export async function withSignIn(
  io: Pick<Io, "env" | "homeFolder">,
  connection: Connection,
): Promise<Connection> {
  if (connection.tokenFile !== undefined) return connection;
  const path = signInPath(io, connection.baseUrl);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  return isThere ? { ...connection, signIn: path } : connection;
}

/** Undefined if there is none. @throws CliError for a file that n0cli has not written. */
export async function readSignIn(path: string): Promise<StoredSignIn | undefined> {
  const text = await ifThere(readFile(path, "utf8"));
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as StoredSignIn;
    const isWhole = isSession(value)
      ? typeof value.session_token === "string"
      : typeof value.id_token === "string" && typeof value.token_endpoint === "string";
    if (isWhole) return value;
  } catch {
    // The same as any other wrong content.
  }
  throw new CliError(`${path} is damaged: run n0cli login`);
}

/** Replaces the file whole or not at all. */
export async function writeSignIn(
  path: string,
  signIn: StoredSignIn,
  random: Random,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const written = `${path}.${random.uuid()}.tmp`;
  try {
    await writeFile(written, JSON.stringify(signIn), { mode: 0o600, flag: "wx", flush: true });
    await rename(written, path);
  } finally {
    await rm(written, { force: true });
  }
}
