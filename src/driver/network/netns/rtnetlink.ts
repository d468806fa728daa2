import { closeSync, read, write } from "node:fs";
import { endianness } from "node:os";
import { getSystemErrorName, promisify } from "node:util";
import { errorCode } from "../../../util/errno.ts";
import { netlinkSocketIn } from "./namespace.ts";

/** Numbers are in the byte order of the processor (netlink(7)). */
const IS_LITTLE = endianness() === "LE";
/** struct nlmsghdr: length, type, flags, sequence, port. */
const HEADER_BYTES = 16;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
/** The dumped data changed in the meantime: something may be missing. */
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** The kernel fills at most 32 KiB at once. */
const ANSWER_BYTES_MAX = 64 << 10;
const DUMPS_MAX = 10;
/** The upper two bits of an attribute's type are flags. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
/** `struct rtgenmsg` for any family, as long as the longest request here. */
const ANY_FAMILY = Buffer.alloc(16);

const readFile = promisify(read);
const writeFile = promisify(write);

/** The numbers and attributes of a message from the kernel. */
export class Parcel {
  readonly bytes: Buffer;
  readonly #view: DataView;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(offset = 0): number {
    return this.#view.getUint8(offset);
  }

  u16(offset = 0): number {
    return this.#view.getUint16(offset, IS_LITTLE);
  }

  u32(offset = 0): number {
    return this.#view.getUint32(offset, IS_LITTLE);
  }

  /** A string that ends with a zero byte. */
  get text(): string {
    const end = this.bytes.indexOf(0);
    return this.bytes.toString("utf8", 0, end < 0 ? undefined : end);
  }

  /** The attributes (rtnetlink(7)) from `offset` on, by their type. */
  attributes(offset = 0): ReadonlyMap<number, Parcel> {
    return new Map(this.list(offset));
  }

  /** The same for a list, in which types may come again. */
  list(offset = 0): (readonly [type: number, value: Parcel])[] {
    const found: (readonly [number, Parcel])[] = [];
    for (let at = offset; at + 4 <= this.bytes.length; ) {
      const length = this.u16(at);
      if (length < 4) break;
      found.push([this.u16(at + 2) & ATTRIBUTE_TYPE_MASK, this.part(at + 4, at + length)]);
      at += align(length);
    }
    return found;
  }

  part(start: number, end: number): Parcel {
    return new Parcel(this.bytes.subarray(start, end));
  }
}

export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, IS_LITTLE);
  return bytes;
}

/** An attribute, padded to a whole number of words. */
export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(align(4 + value.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint16(0, 4 + value.length, IS_LITTLE);
  view.setUint16(2, type, IS_LITTLE);
  value.copy(bytes, 4);
  return bytes;
}

/**
 * Asks the kernel for all objects of a kind in the namespace at `path`, or if undefined in that of this
 * process. Returns the part of each message after its header. This takes 0.1 ms, where a process would take
 * several. The main thread does not wait: the thread pool reads and writes.
 */
export async function dump(
  path: string | undefined,
  type: number,
  body: Buffer = ANY_FAMILY,
): Promise<Parcel[]> {
  const socket = netlinkSocketIn(path);
  try {
    for (let dumps = 1; ; dumps++) {
      await sendMessages(socket, [{ type, flags: NLM_F_DUMP, body }]);
      const { parcels, isWhole } = await readAnswer(socket);
      if (isWhole || dumps === DUMPS_MAX) return parcels;
    }
  } finally {
    closeSync(socket);
  }
}

/** What the kernel says of one object; empty if there is none. */
export async function get(path: string, type: number, body: Buffer): Promise<readonly Parcel[]> {
  const socket = netlinkSocketIn(path);
  try {
    await sendMessages(socket, [{ type, flags: NLM_F_ACK, body }]);
    return (await readAnswer(socket)).parcels;
  } catch (error) {
    if (["ENOENT", "ENODEV", "ENXIO"].includes(errorCode(error) ?? "")) return [];
    throw error;
  } finally {
    closeSync(socket);
  }
}

/** Makes a change in the kernel. @throws Error with a `code` such as `ENODEV`. */
export async function request(path: string | undefined, type: number, body: Buffer): Promise<void> {
  const socket = netlinkSocketIn(path);
  try {
    await sendMessages(socket, [{ type, flags: NLM_F_ACK, body }]);
    await readAnswer(socket);
  } finally {
    closeSync(socket);
  }
}

/** Changes that fit into the kernel's buffer for their answers. */
const CHANGES_AT_ONCE_MAX = 100;

/**
 * Makes the changes in their order, each by itself.
 *
 * @throws Error of the first one that has failed with none of these codes, after all were tried.
 */
export async function requestAll(
  path: string | undefined,
  changes: readonly Message[],
  ignoredCodes: readonly string[] = [],
): Promise<void> {
  if (changes.length === 0) return;
  const socket = netlinkSocketIn(path);
  const errors: unknown[] = [];
  try {
    for (let start = 0; start < changes.length; start += CHANGES_AT_ONCE_MAX) {
      const some = changes.slice(start, start + CHANGES_AT_ONCE_MAX);
      await sendMessages(
        socket,
        some.map(({ flags, ...rest }) => ({ ...rest, flags: flags | NLM_F_ACK })),
      );
      for (const _ of some) {
        await readAnswer(socket).catch((error) => {
          if (!ignoredCodes.includes(error.code)) errors.push(error);
        });
      }
    }
  } finally {
    closeSync(socket);
  }
  if (errors.length > 0) throw errors[0];
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

/** All at once. Each is a request. */
export async function sendMessages(socket: number, messages: readonly Message[]): Promise<void> {
  await writeFile(socket, Buffer.concat(messages.map(bytesOf)));
}

/** Each message begins at a whole number of words. */
function bytesOf({ type, flags, body }: Message): Buffer {
  const bytes = Buffer.alloc(align(HEADER_BYTES + body.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, HEADER_BYTES + body.length, IS_LITTLE);
  view.setUint16(4, type, IS_LITTLE);
  view.setUint16(6, NLM_F_REQUEST | flags, IS_LITTLE);
  body.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** Reads to the end of a dump, or to the answer of a change. @throws Error with a `code` such as `ENODEV`. */
export async function readAnswer(
  socket: number,
): Promise<{ readonly parcels: Parcel[]; readonly isWhole: boolean }> {
  const parcels: Parcel[] = [];
  let isWhole = true;
  for (;;) {
    const buffer = Buffer.alloc(ANSWER_BYTES_MAX);
    const { bytesRead } = await readFile(socket, buffer, 0, buffer.length, null);
    const answer = new Parcel(buffer.subarray(0, bytesRead));
    for (let at = 0; at + HEADER_BYTES <= bytesRead; at += align(answer.u32(at))) {
      const type = answer.u16(at + 4);
      const body = answer.part(at + HEADER_BYTES, at + answer.u32(at));
      if ((answer.u16(at + 6) & NLM_F_DUMP_INTR) !== 0) isWhole = false;
      if (type === NLMSG_ERROR) throwUnlessZero(body.u32() | 0);
      if (type === NLMSG_ERROR || type === NLMSG_DONE) return { parcels, isWhole };
      parcels.push(body);
    }
  }
}

/** An error of 0 means success. */
function throwUnlessZero(error: number): void {
  if (error === 0) return;
  const code = getSystemErrorName(error);
  throw Object.assign(new Error(`netlink: ${code}`), { code });
}

function align(length: number): number {
  return (length + 3) & ~3;
}
