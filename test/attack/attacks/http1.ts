import type { Dice } from "../../sim/dice.ts";
import { type Attack, untilOver } from "../attack.ts";
import { exchange } from "../raw-socket.ts";
import { formatBytes } from "../text.ts";

const WIDTH = 16;
const TIMEOUT_MS = 700;
const HEALTH = "/grpc.health.v1.Health/Check";
const HOST = "Host: 127.0.0.1\r\n";
const JSON_TYPE = "Content-Type: application/json\r\n";

const REQUESTS: Readonly<Record<string, (dice: Dice) => string>> = {
  "no HTTP at all": (dice) =>
    dice.pick([
      "\0\0\0\0",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
      "SSH-2.0-x\r\n",
      "\r\n".repeat(5000),
    ]),
  "an unknown verb": () => `BREW ${HEALTH} HTTP/1.1\r\n${HOST}\r\n`,
  "a huge URL": (dice) =>
    `GET /${"a".repeat(dice.pick([8_000, 60_000, 1 << 20, 15 << 20]))} HTTP/1.1\r\n${HOST}\r\n`,
  "a URL that is none": (dice) =>
    `GET ${dice.pick(["*", "//", "http://[", "/%", "/\x01", "/../../etc/passwd", "///..//"])} HTTP/1.1\r\n${HOST}\r\n`,
  "a flood of headers": (dice) =>
    `GET / HTTP/1.1\r\n${HOST}${"X: y\r\n".repeat(dice.pick([100, 3_000, 200_000]))}\r\n`,
  "a huge header": (dice) =>
    `GET / HTTP/1.1\r\n${HOST}X: ${"y".repeat(dice.pick([17_000, 1 << 20]))}\r\n\r\n`,
  "two lengths": () =>
    `POST ${HEALTH} HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}`,
  "a length and chunks": () =>
    `POST ${HEALTH} HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`,
  "chunks under another name": () =>
    `POST ${HEALTH} HTTP/1.1\r\n${HOST}${JSON_TYPE}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  "a chunk of a wrong size": (dice) =>
    `POST ${HEALTH} HTTP/1.1\r\n${HOST}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${dice.pick(["-1", "ffffffffffffffff", "g", "2;x=".padEnd(20_000, "y")])}\r\n{}\r\n0\r\n\r\n`,
  "a length that is none": (dice) =>
    `POST ${HEALTH} HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: ${dice.pick(["-1", "1e9", "0x2", "99999999999999999999", " "])}\r\n\r\n{}`,
  "a bare line feed": () => `GET ${HEALTH} HTTP/1.1\n${HOST}\n`,
  "a folded header": () => `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`,
  "an upgrade": (dice) =>
    `GET ${dice.pick(["/", HEALTH, "/vnc", "/api/v0/virtual_machines/a/vncwebsocket"])} HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: ${dice.pick(["websocket", "h2c", "x"])}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${dice.pick(["", "dGhlIHNhbXBsZSBub25jZQ==", "x".repeat(5000)])}\r\n\r\n`,
  "a connect": () => `CONNECT 169.254.169.254:80 HTTP/1.1\r\n${HOST}\r\n`,
  "an expectation": () =>
    `POST ${HEALTH} HTTP/1.1\r\n${HOST}${JSON_TYPE}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}`,
  "a wrong token": (dice) =>
    `POST /n0stack.pool.v0.NodeService/ListNodes HTTP/1.1\r\n${HOST}${JSON_TYPE}Authorization: Bearer ${"x".repeat(dice.pick([0, 40, 8_000]))}\r\nContent-Length: 2\r\n\r\n{}`,
  "a foreign host": (dice) =>
    `GET / HTTP/1.1\r\nHost: ${dice.pick(["evil.example", "", "[", "a".repeat(9000)])}\r\n\r\n`,
  "a foreign origin": () =>
    `POST /n0stack.pool.v0.NodeService/ListNodes HTTP/1.1\r\n${HOST}${JSON_TYPE}Origin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}`,
  "many on one connection": (dice) => `GET / HTTP/1.1\r\n${HOST}\r\n`.repeat(dice.pick([10, 500])),
  "a body that ends early": () =>
    `POST ${HEALTH} HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: 4000000\r\n\r\n{`,
};

/** Requests that no client of HTTP/1.1 would send. */
export const http1: Attack = {
  name: "http1",
  weight: 1,
  async run({ targets, findings }, round) {
    const kinds = Object.entries(REQUESTS);
    return await untilOver(round, WIDTH, async (index) => {
      const [how, make] = kinds[index % kinds.length]!;
      const target = round.dice.pick([targets.api, targets.node, targets.agent]);
      const bytes = Buffer.from(make(round.dice), "latin1");
      const answer = await exchange(target.url, [bytes], TIMEOUT_MS);
      const status = /^HTTP\/1\.1 5(?!0[135])\d\d/.exec(answer)?.[0];
      if (status === undefined) return;
      const fault = `${status} from ${target.name} for HTTP/1 with ${how}`;
      findings.add({ fault, seen: answer.slice(0, 200), again: formatBytes(bytes) });
    });
  },
};
