import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { defined } from "../util/defined.ts";
import type { Json } from "../util/json.ts";
import type { Put, Writes } from "./datastore.ts";

/** A kind of records, all under one prefix. The only maker of keys: no part of a name can leave it. */
export interface Collection<T> {
  readonly prefix: string;
  /** How large a record may be; undefined for the size that any may have. */
  readonly bytesMax?: number | undefined;
  key(...parts: readonly string[]): string;
  /** The prefix of the records whose keys begin with these parts. */
  under(...parts: readonly string[]): string;
  /** The parts that a key was made of. */
  parts(key: string): readonly string[];
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** What the encoding leaves as it is, as nearly every part of a key; to look is cheaper than to encode. */
const PLAIN_PART = /^[\w.~-]*$/;

function encodePart(part: string): string {
  return PLAIN_PART.test(part) ? part : encodeURIComponent(part);
}

function collection<T>(
  name: string,
  codec: Pick<Collection<T>, "encode" | "decode" | "bytesMax">,
): Collection<T> {
  const prefix = `${name}/`;
  const join = (parts: readonly string[]) => parts.map(encodePart).join("/");
  return {
    prefix,
    key: (...parts) => prefix + join(parts),
    under: (...parts) => (parts.length === 0 ? prefix : `${prefix}${join(parts)}/`),
    parts: (key) => key.slice(prefix.length).split("/").map(decodeURIComponent),
    ...codec,
  };
}

export function protoCollection<D extends DescMessage>(
  name: string,
  schema: D,
  today: (value: MessageShape<D>) => MessageShape<D> = (value) => value,
): Collection<MessageShape<D>> {
  return collection(name, {
    encode: (value) => toBinary(schema, value),
    decode: (bytes) => today(fromBinary(schema, bytes)),
  });
}

const utf8 = new TextDecoder();

/** Records that only this process's own code reads. */
export function jsonCollection<T extends Json>(
  name: string,
  { bytesMax }: { readonly bytesMax?: number } = {},
): Collection<T> {
  return collection(name, {
    bytesMax,
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(utf8.decode(bytes)),
  });
}

/** @throws Error that names the record, where its bytes are not what `of` holds. */
export function decodeRecord<T>(of: Collection<T>, key: string, bytes: Uint8Array): T {
  try {
    return of.decode(bytes);
  } catch (cause) {
    throw new Error(`record ${key} cannot be read: damaged, or written by a newer version`, {
      cause,
    });
  }
}

export function put<T>(of: Collection<T>, parts: readonly string[], value: T): Writes {
  return { puts: [putOf(of, of.key(...parts), value)] };
}

/** For who has the key. */
export function putOf<T>(of: Collection<T>, key: string, value: T): Put {
  const { bytesMax } = of;
  return { key, value: of.encode(value), ...defined({ bytesMax }) };
}

/** A put that fails when the record exists: how a name, an address or a device is made unique. */
export function putNew<T>(of: Collection<T>, parts: readonly string[], value: T): Writes {
  const key = of.key(...parts);
  return { puts: [putOf(of, key, value)], conditions: [{ key, revision: 0 }] };
}

export function remove<T>(of: Collection<T>, ...parts: readonly string[]): Writes {
  return { deletes: [of.key(...parts)] };
}

/** Holds while the record is at this revision; 0: while there is none. */
export function unchanged<T>(
  of: Collection<T>,
  parts: readonly string[],
  revision: number,
): Writes {
  return { conditions: [{ key: of.key(...parts), revision }] };
}
