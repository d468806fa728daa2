import type { Socket } from "node:net";
import { type Attack, pause } from "../attack.ts";
import { callHeaders, END_HEADERS, END_STREAM, frame, PREFACE, SETTINGS } from "../h2-frames.ts";
import { openSocket } from "../raw-socket.ts";

const CONNECTIONS = 2_000;
const AT_ONCE = 100;
const WATCHES_EACH = 10;

/** The empty message. */
const EMPTY = Buffer.from([0, 0, 0, 0, 0]);

/** Two thousand connections at once: a third idle, a third of HTTP/1 kept alive, a third with ten health watches. */
export const connections: Attack = {
  name: "connections",
  weight: 1,
  async run({ targets }, { signal }) {
    const sockets: Socket[] = [];
    const watches = Array.from({ length: WATCHES_EACH }, (_, i) =>
      Buffer.concat([
        frame("headers", END_HEADERS, 2 * i + 1, callHeaders("/grpc.health.v1.Health/Watch")),
        frame("data", END_STREAM, 2 * i + 1, EMPTY),
      ]),
    );
    const beginnings = [
      Buffer.alloc(0),
      Buffer.from("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
      Buffer.concat([PREFACE, SETTINGS, ...watches]),
    ];
    for (let i = 0; i < CONNECTIONS && !signal.aborted; i++) {
      const socket = openSocket(targets.api.url);
      socket.resume().write(beginnings[i % beginnings.length]!);
      sockets.push(socket);
      if (i % AT_ONCE === 0) await pause(10);
    }
    while (!signal.aborted) await pause(100);
    for (const socket of sockets) socket.destroy();
    return sockets.length;
  },
};
