/** A socket that listens on this host, and would accept a connection to loopback. */
interface Listening {
  readonly port: number;
  readonly uid: number;
}

/** <net/tcp_states.h> */
const LISTEN = "0A";

/**
 * Finds the sockets that wait for connections to `port` on loopback.
 *
 * @param tables The texts of `/proc/net/tcp` and `/proc/net/tcp6`. Linux writes an address there as hexadecimal
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

/** Any address, or one of loopback: 127.0.0.0/8, ::1, or 127.0.0.0/8 within IPv6. */
function isInTheWay(address: string): boolean {
  if (/^0+$/.test(address)) return true;
  const last = address.slice(-8);
  const bytes = last.match(/../g) ?? [];
  const isIpv4 = address.length === 8 || /^0{16}(?:FFFF0000|0000FFFF)$/.test(address.slice(0, 24));
  if (isIpv4) return bytes.at(0) === "7F" || bytes.at(-1) === "7F";
  return /^0{24}(?:01000000|00000001)$/.test(address);
}

/** The user who listens where a secret would be sent. Without a `uid`, nobody listens. */
export interface Untrusted {
  readonly uid?: number;
  readonly text: string;
}

/**
 * Why a secret must not be sent to `port` on loopback; undefined if it may be sent. Any user of the host can
 * listen on a free port and collect what others send there.
 *
 * @param trusted The users who may know the secret. Root always may.
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
  const text = `user ${uid} listens on port ${port} and is neither root nor the owner of the token`;
  return { uid, text };
}
