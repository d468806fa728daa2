import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { type Untrusted, whyNotTrusted } from "./listeners.ts";

/**
 * Makes the connections to a server on loopback that gets a token, for `node:http2`. Cuts a connection before
 * anything is sent if the server belongs to another user.
 *
 * @param uids The users who may know the token, besides root and the user of this process.
 */
export function connectToTrusted(uids: readonly number[]): (authority: URL) => Socket {
  return ({ hostname, port }) => {
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const socket = connect({ host, port: Number(port) });
    const { emit } = socket;
    // node:http2 sends what waits as soon as it gets the `connect` event, so it must not get it: a listener of
    // ours could not hold the event back from the listeners after it.
    socket.emit = (...event: [string | symbol, ...unknown[]]): boolean => {
      const reason = event[0] === "connect" ? whyUntrusted(Number(port), uids) : undefined;
      if (reason === undefined) return Reflect.apply(emit, socket, event) as boolean;
      const message = `the token is not sent to ${hostname}:${port}: ${reason.text}`;
      // The same error as when nobody listens: the right server may listen there later.
      socket.destroy(Object.assign(new Error(message), { code: "ECONNREFUSED" }));
      return true;
    };
    return socket;
  };
}

/**
 * Why a token of these users, besides root and the user of this process, must not be sent to a port on
 * loopback.
 */
export function whyUntrusted(port: number, uids: readonly number[]): Untrusted | undefined {
  return whyNotTrusted(readTables(), port, [...uids, process.getuid?.() ?? 0]);
}

function readTables(): readonly string[] {
  return ["tcp", "tcp6"].map((name) => {
    try {
      return readFileSync(`/proc/net/${name}`, "utf8");
    } catch {
      // A host without IPv6 has no tcp6. If a file cannot be read, no server is trusted.
      return "";
    }
  });
}
