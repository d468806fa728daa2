import type { Dice } from "../../sim/dice.ts";
import { type Attack, untilOver } from "../attack.ts";
import {
  callHeaders,
  countFrames,
  END_HEADERS,
  END_STREAM,
  frame,
  literal,
  PREFACE,
  SETTINGS,
} from "../h2-frames.ts";
import { exchange } from "../raw-socket.ts";

const WIDTH = 6;
const TIMEOUT_MS = 1_000;
const HEALTH = callHeaders("/grpc.health.v1.Health/Check");
const WATCH = callHeaders("/grpc.health.v1.Health/Watch");
const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));
/** The number of the client's stream. */
const stream = (index: number) => 2 * index + 1;
const u32 = (value: number) => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
};
/** One setting. */
const set = (id: number, value: number) => Buffer.concat([Buffer.from([0, id]), u32(value)]);
const headers = (index: number, block: Uint8Array, flags = END_HEADERS) =>
  frame("headers", flags, stream(index), block);

const CONVERSATIONS: Readonly<Record<string, (dice: Dice) => Buffer[]>> = {
  "half a preface": (dice) => [PREFACE.subarray(0, dice.below(PREFACE.length))],
  "a wrong preface": () => [Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
  "no settings": () => [PREFACE, headers(0, HEALTH)],
  "noise after the preface": (dice) => [PREFACE, Buffer.from(times(3000, () => dice.below(256)))],
  "a flood of settings": () => [
    PREFACE,
    ...times(20, () => Buffer.concat(times(500, () => frame("settings", 0, 0, set(3, 100))))),
  ],
  "a flood of pings": () => [
    PREFACE,
    SETTINGS,
    ...times(20, () => Buffer.concat(times(500, () => frame("ping", 0, 0, Buffer.alloc(8))))),
  ],
  "rapid reset": () => [
    ...[PREFACE, SETTINGS],
    ...times(40, (n) =>
      Buffer.concat(
        times(50, (i) =>
          Buffer.concat([
            headers(n * 50 + i, WATCH),
            frame("reset", 0, stream(n * 50 + i), u32(8)),
          ]),
        ),
      ),
    ),
  ],
  "a flood of continuations": () => [
    ...[PREFACE, SETTINGS, headers(0, HEALTH, 0)],
    ...times(200, (i) =>
      frame(
        "continuation",
        0,
        1,
        Buffer.concat(times(100, (j) => literal(`x-${i}-${j}`, "y".repeat(50)))),
      ),
    ),
  ],
  "empty continuations": () => [
    ...[PREFACE, SETTINGS, headers(0, HEALTH, 0)],
    ...times(50, () => Buffer.concat(times(400, () => frame("continuation", 0, 1)))),
  ],
  "a huge list of headers": () => [
    PREFACE,
    SETTINGS,
    headers(0, Buffer.concat([HEALTH, literal("x", "y".repeat(16_000))])),
  ],
  /** An entry of the table of 4 KB, which single bytes name again and again. */
  "a bomb of headers": () => [
    ...[PREFACE, SETTINGS],
    headers(
      0,
      Buffer.concat([
        HEALTH,
        Buffer.from([0x40]),
        literal("x", "y".repeat(4000)).subarray(1),
        Buffer.alloc(10_000, 0xbe),
      ]),
    ),
  ],
  "damaged headers": (dice) => [
    PREFACE,
    SETTINGS,
    headers(0, Buffer.from(times(100, () => dice.below(256))), END_HEADERS | END_STREAM),
  ],
  "windows that overflow": () => [
    PREFACE,
    SETTINGS,
    ...times(3, () => frame("window", 0, 0, u32(0x7fffffff))),
  ],
  "a window of zero": () => [
    PREFACE,
    frame("settings", 0, 0, set(4, 0)),
    ...times(100, (i) => headers(i, HEALTH)),
    frame("window", 0, 1, u32(0)),
  ],
  "an initial window that is too large": () => [
    PREFACE,
    frame("settings", 0, 0, set(4, 0xffffffff)),
  ],
  "frames on streams that there are not": () => [
    PREFACE,
    SETTINGS,
    frame("data", 0, 0, Buffer.alloc(10)),
    frame("data", 0, 99, Buffer.alloc(10)),
  ],
  "a frame longer than it may be": () => [
    PREFACE,
    SETTINGS,
    frame("data", 0, 1, Buffer.alloc(100), 0xffffff),
  ],
  "what a server sends": () => [
    PREFACE,
    SETTINGS,
    headers(0, HEALTH),
    frame("push", END_HEADERS, 1, Buffer.concat([u32(2), HEALTH])),
  ],
  "priorities in a circle": () => [
    PREFACE,
    SETTINGS,
    ...times(100, (i) =>
      frame(
        "priority",
        0,
        stream(i),
        Buffer.concat([u32(stream((i + 1) % 100)), Buffer.from([255])]),
      ),
    ),
  ],
  "unknown frames": (dice) => [
    PREFACE,
    SETTINGS,
    ...times(200, () =>
      frame(10 + dice.below(240), 255, dice.below(9), Buffer.alloc(dice.below(200))),
    ),
  ],
  "empty data without an end": () => [
    PREFACE,
    SETTINGS,
    headers(0, HEALTH),
    Buffer.concat(times(5_000, () => frame("data", 0, 1))),
  ],
  "even and falling streams": () => [
    PREFACE,
    SETTINGS,
    frame("headers", END_HEADERS, 2, HEALTH),
    frame("headers", END_HEADERS, 9, HEALTH),
    frame("headers", END_HEADERS, 3, HEALTH),
  ],
  "more streams than it allows": () => [
    PREFACE,
    SETTINGS,
    ...times(1_500, (i) => headers(i, WATCH, END_HEADERS)),
  ],
  "a goodbye and then more": () => [
    PREFACE,
    SETTINGS,
    frame("goaway", 0, 0, Buffer.alloc(8)),
    headers(0, HEALTH, END_HEADERS | END_STREAM),
  ],
  "no path": () => [
    PREFACE,
    SETTINGS,
    headers(0, literal(":method", "GET"), END_HEADERS | END_STREAM),
  ],
  "a huge path": () => [
    PREFACE,
    SETTINGS,
    headers(0, callHeaders(`/${"a".repeat(14_000)}`), END_HEADERS | END_STREAM),
  ],
};

/** Frames that no client of HTTP/2 would send, each kind on a connection of its own. */
export const http2: Attack = {
  name: "http2",
  weight: 1,
  async run({ targets }, round) {
    const kinds = Object.values(CONVERSATIONS);
    let requests = 0;
    await untilOver(round, WIDTH, async (index) => {
      const target = round.dice.pick([targets.api, targets.node, targets.agent]);
      const pieces = kinds[index % kinds.length]!(round.dice);
      // One connection can hold thousands of requests.
      requests += 1 + countFrames("headers", pieces);
      await exchange(target.url, pieces, TIMEOUT_MS);
    });
    return requests;
  },
};
