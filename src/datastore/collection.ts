import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { defined } from "../util/defined.ts";
import type { Json } from "../util/json.ts";
import type { Put, Writes } from "./datastore.ts";
import { type Keys, keysOf, type Part } from "./key.ts";

/** A kind of records, all under one prefix. */
export interface Collection<T> extends Keys {
  /** How large a record may be; undefined for the size that any may have. */
  readonly bytesMax?: number | undefined;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** The objects of a kind, which is the collection's name. */
export function protoCollection<D extends DescMessage>(
  kind: string,
  schema: D,
  today: (value: MessageShape<D>) => MessageShape<D> = (value) => value,
): Collection<MessageShape<D>> {
  return {
    ...keysOf(kind, kind),
    encode: (value) => toBinary(schema, value),
    decode: (bytes) => today(fromBinary(schema, bytes)),
  };
}

const utf8 = new TextDecoder();

/**
 * Records that only this process's own code reads.
 *
 * @param options `of` is the kind of the object that each of them belongs to, which their keys begin with.
 */
export function jsonCollection<T extends Json>(
  name: string,
  { of, bytesMax }: { readonly of?: string; readonly bytesMax?: number } = {},
): Collection<T> {
  return {
    ...keysOf(name, of),
    bytesMax,
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(utf8.decode(bytes)),
  };
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

export function put<T>(of: Collection<T>, parts: readonly Part[], value: T): Writes {
  return { puts: [putOf(of, of.key(...parts), value)] };
}

/** For who has the key. */
export function putOf<T>(of: Collection<T>, key: string, value: T): Put {
  const { bytesMax } = of;
  return { key, value: of.encode(value), ...defined({ bytesMax }) };
}

/** A put that fails when the record exists: how a name, an address or a device is made unique. */
export function putNew<T>(of: Collection<T>, parts: readonly Part[], value: T): Writes {
  const key = of.key(...parts);
  return { puts: [putOf(of, key, value)], conditions: [{ key, revision: 0 }] };
}

export function remove<T>(of: Collection<T>, ...parts: readonly Part[]): Writes {
  return { deletes: [of.key(...parts)] };
}

/** Holds while the record is at this revision; 0: while there is none. */
export function unchanged<T>(of: Collection<T>, parts: readonly Part[], revision: number): Writes {
  return { conditions: [{ key: of.key(...parts), revision }] };
}
