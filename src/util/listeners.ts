/** A socket that listens on this host, and would accept a connection to loopback. */
interface Listening {
  readonly port: number;
  readonly uid: number;
}

/** <net/tcp_states.h> */
const LISTEN = "0A";

/**
 * Finds who waits for connections to `port` on loopback.
 *
 * @param tables What `/proc/net/tcp` and `/proc/net/tcp6` say. Linux writes an address there as hexadecimal
 *   words in the byte order of the host.
 */
export function listenerUids(tables: readonly string[], port: number): readonly number[] {
  const found = tables.flatMap((table) => table.split("\n").slice(1).flatMap(listeningOf));
  return [...new Set(found.filter((one) => one.port === port).map(({ uid }) => uid))];
}

function listeningOf(line: string): readonly Listening[] {
  const [, local = "", , state, , , , uid] = line.trim().split(/\s+/);
  const [address = "", port = ""] = local.split(":");
  if (state !== LISTEN || !isInTheWay(address)) return [];
  return [{ port: Number.parseInt(port, 16), uid: Number(uid) }];
}

/** Every address, or one of loopback: 127.0.0.0/8, ::1, or the first within IPv6. */
function isInTheWay(address: string): boolean {
  if (/^0+$/.test(address)) return true;
  const last = address.slice(-8);
  const bytes = last.match(/../g) ?? [];
  const isIpv4 = address.length === 8 || /^0{16}(?:FFFF0000|0000FFFF)$/.test(address.slice(0, 24));
  if (isIpv4) return bytes.at(0) === "7F" || bytes.at(-1) === "7F";
  return /^0{24}(?:01000000|00000001)$/.test(address);
}

/** Who listens where a secret was to go; without a `uid` nobody of this machine does. */
export interface Untrusted {
  readonly uid?: number;
  readonly text: string;
}

/**
 * Says why a secret may not be sent to `port` on loopback; undefined where it may. Any user of a machine can
 * listen on a port that is free and collect what comes.
 *
 * @param trusted The users who may know the secret; root always may.
 */
export function whyNotTrusted(
  tables: readonly string[],
  port: number,
  trusted: readonly number[],
): Untrusted | undefined {
  const uids = listenerUids(tables, port);
  if (uids.length === 0) return { text: `no process of this host listens on port ${port}` };
  const uid = uids.find((one) => one !== 0 && !trusted.includes(one));
  if (uid === undefined) return undefined;
  const text = `user ${uid} listens on port ${port}, who is neither root nor the owner of the token`;
  return { uid, text };
}
