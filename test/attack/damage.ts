import type { Dice } from "../sim/dice.ts";
import type { Encoding } from "./wire.ts";

type Change = (bytes: Buffer, dice: Dice) => Buffer;

const cut: Change = (bytes, dice) => bytes.subarray(0, dice.below(bytes.length + 1));
const flip: Change = (bytes, dice) => {
  const out = Buffer.from(bytes);
  for (let i = dice.below(4) + 1; i > 0 && out.length > 0; i--) {
    out[dice.below(out.length)]! ^= 1 << dice.below(8);
  }
  return out;
};
const noise: Change = (_, dice) =>
  Buffer.from(Array.from({ length: dice.below(300) }, () => dice.below(256)));
const twice: Change = (bytes) => Buffer.concat([bytes, bytes]);
const joined =
  (make: (dice: Dice) => Buffer): Change =>
  (bytes, dice) =>
    Buffer.concat([bytes, make(dice)]);

const PROTO: Readonly<Record<string, Change>> = {
  cut,
  flip,
  noise,
  twice,
  /** 0xa2 0x1f: field 500, length-delimited, which no message has. */
  "unknown fields": joined((dice) =>
    repeated(Buffer.from([0xa2, 0x1f, 1, 0x41]), dice.pick([1, 100, 20_000])),
  ),
  /** 0x0b: a group of field 1 begins. */
  "deep groups": joined((dice) => Buffer.alloc(dice.pick([10, 101, 50_000]), 0x0b)),
  "wrong UTF-8": joined(() => Buffer.from([0x0a, 4, 0xff, 0xc0, 0x80, 0xed])),
  "a field of two gigabytes": joined(() => Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07])),
  "an endless number": joined(() => Buffer.alloc(64, 0xff)),
  "field 0": joined(() => Buffer.from([0x02, 0x00])),
  "another wire type": joined((dice) =>
    Buffer.from([8 + dice.pick([0, 1, 5, 6, 7]), 1, 2, 3, 4, 5, 6, 7, 8]),
  ),
};

const JSON_CHANGES: Readonly<Record<string, Change>> = {
  cut,
  flip,
  noise,
  twice,
  "deep lists": (_, dice) => Buffer.from(`{"name":${"[".repeat(dice.pick([10, 200, 100_000]))}`),
  "deep objects": (_, dice) => repeated(Buffer.from('{"a":'), dice.pick([10, 200, 40_000])),
  "an unknown key": (bytes) => Buffer.from(bytes.toString().replace(/^\{/, '{"no_such":[{}],')),
  "a key of objects": (bytes) =>
    Buffer.from(bytes.toString().replace(/^\{/, '{"__proto__":{"x":1},"constructor":1,')),
  "a list for all": (bytes) => Buffer.from(bytes.toString().replaceAll(/:\s*"/g, ':["')),
  "other types": (bytes) => Buffer.from(bytes.toString().replaceAll(/"[^"]*"(?=[,}])/g, "1e400")),
  "half a pair": () => Buffer.from('{"name":"\\ud800"}'),
  "wrong UTF-8": () => Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  "a bare value": (_, dice) =>
    Buffer.from(dice.pick(["", "null", "1", '"x"', "[]", "tru", "{}{}"])),
};

/** Damages an encoded message in one way, which it names. */
export function damaged(
  bytes: Uint8Array,
  encoding: Encoding,
  dice: Dice,
): { readonly how: string; readonly bytes: Buffer } {
  const changes = encoding === "proto" ? PROTO : JSON_CHANGES;
  const how = dice.pick(Object.keys(changes));
  return { how, bytes: changes[how]!(Buffer.from(bytes), dice) };
}

function repeated(piece: Buffer, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => piece));
}
