import { closeSync, read, write } from "node:fs";
import { endianness } from "node:os";
import { promisify } from "node:util";
import { netlinkSocketIn } from "./namespace.ts";

/** Numbers are in the processor's own order (netlink(7)). */
const IS_LITTLE = endianness() === "LE";
/** struct nlmsghdr: length, type, flags, sequence, port. */
const HEADER_BYTES = 16;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
/** What was dumped changed meanwhile: something may be missing. */
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** The kernel fills at most 32 KiB at once. */
const ANSWER_BYTES_MAX = 64 << 10;
const DUMPS_MAX = 10;
/** The upper two bits of an attribute's type are flags. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

const readFile = promisify(read);
const writeFile = promisify(write);

/** Numbers and attributes of what the kernel has sent. */
export class Parcel {
  readonly #bytes: Buffer;
  readonly #view: DataView;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get bytes(): Buffer {
    return this.#bytes;
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

  /** A string that ends with a zero. */
  get text(): string {
    const end = this.#bytes.indexOf(0);
    return this.#bytes.toString("utf8", 0, end < 0 ? undefined : end);
  }

  /** The attributes (rtnetlink(7)) from `offset` on, by their type. */
  attributes(offset = 0): ReadonlyMap<number, Parcel> {
    const found = new Map<number, Parcel>();
    for (let at = offset; at + 4 <= this.#bytes.length; ) {
      const length = this.u16(at);
      if (length < 4) break;
      found.set(this.u16(at + 2) & ATTRIBUTE_TYPE_MASK, this.part(at + 4, at + length));
      at += align(length);
    }
    return found;
  }

  part(start: number, end: number): Parcel {
    return new Parcel(this.#bytes.subarray(start, end));
  }
}

/**
 * Asks the kernel for all that it has of a kind in the namespace at `path`, undefined for this
 * process's own, and answers what follows the header of each message. It takes a tenth of a
 * millisecond, where a process to ask takes several. The main thread does not wait: reading and writing
 * are the thread pool's.
 */
export async function dump(path: string | undefined, type: number): Promise<Parcel[]> {
  const socket = netlinkSocketIn(path);
  try {
    for (let dumps = 1; ; dumps++) {
      await writeFile(socket, requestOf(type));
      const { parcels, isWhole } = await readAnswer(socket);
      if (isWhole || dumps === DUMPS_MAX) return parcels;
    }
  } finally {
    closeSync(socket);
  }
}

/** The body is a `struct rtgenmsg` for any family, as long as the longest that is asked for here. */
function requestOf(type: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + 16);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, bytes.length, IS_LITTLE);
  view.setUint16(4, type, IS_LITTLE);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, IS_LITTLE);
  return bytes;
}

async function readAnswer(socket: number): Promise<{ parcels: Parcel[]; isWhole: boolean }> {
  const parcels: Parcel[] = [];
  let isWhole = true;
  for (;;) {
    const buffer = Buffer.alloc(ANSWER_BYTES_MAX);
    const { bytesRead } = await readFile(socket, buffer, 0, buffer.length, null);
    const answer = new Parcel(buffer.subarray(0, bytesRead));
    for (let at = 0; at + HEADER_BYTES <= bytesRead; at += align(answer.u32(at))) {
      const type = answer.u16(at + 4);
      if ((answer.u16(at + 6) & NLM_F_DUMP_INTR) !== 0) isWhole = false;
      if (type === NLMSG_DONE) return { parcels, isWhole };
      const body = answer.part(at + HEADER_BYTES, at + answer.u32(at));
      if (type === NLMSG_ERROR) throw new Error(`netlink: errno ${-(body.u32() | 0)}`);
      parcels.push(body);
    }
  }
}

function align(length: number): number {
  return (length + 3) & ~3;
}
