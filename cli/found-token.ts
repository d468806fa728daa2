import { access, constants, stat } from "node:fs/promises";
import { errorCode } from "../src/util/errno.ts";
import { isLoopback } from "../src/util/loopback.ts";
import { whyUntrusted } from "../src/util/trusted-socket.ts";
import { type Connection, portOf } from "./connection.ts";
import { CliError } from "./errors.ts";
import type { Io } from "./io.ts";

/** The file that `n0core serve` on this computer makes at its first start, in its default base directory. */
export const OWN_TOKEN_FILE = "/var/lib/n0core/token";

/**
 * Adds the token of this computer's own n0core, for an endpoint on loopback if no token is configured and nobody has signed in.
 * A user who cannot read the file, or has none, gets no token.
 */
export async function withFoundToken(
  io: Pick<Io, "ownTokenFile">,
  connection: Connection,
): Promise<Connection> {
  if ((connection.tokenFile ?? connection.signIn) !== undefined) return connection;
  if (!isLoopback(new URL(connection.baseUrl).hostname)) return connection;
  const path = io.ownTokenFile;
  try {
    await access(path, constants.R_OK);
    return { ...connection, tokenFile: path, tokenOrigin: "found" };
  } catch (reason) {
    const isThere = errorCode(reason) === "EACCES";
    return isThere ? { ...connection, tokenOrigin: "unreadable" } : connection;
  }
}

/**
 * The users whose server may get a found token, besides root and the current user. Any user of this computer
 * can listen on a free port.
 *
 * @throws CliError if another user listens there.
 */
export async function ownersOfFound(path: string, baseUrl: string): Promise<readonly number[]> {
  const { uid } = await stat(path);
  const reason = whyUntrusted(portOf(baseUrl), [uid]);
  if (reason === undefined || reason.uid === undefined) return [uid];
  throw new CliError(
    `n0cli does not send the token in ${path} to ${baseUrl}: ${reason.text}. If that is your server, name the file ` +
      "that holds its token with --token-file or N0CLI_TOKEN_FILE.",
  );
}
