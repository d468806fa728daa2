import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { N0Error } from "../../util/errors.ts";
import { toConnectError } from "../errors.ts";

/**
 * The most entries of lists and maps, and messages in messages, that one message of a request may hold. Each
 * becomes an object of some hundred bytes, from as few as two on the wire. A survey has the most: 16,384
 * seeds of a dozen.
 */
export const ENTRIES_MAX = 200_000;

/**
 * Counts what a message would be made of before anything is made of it, in the way in which it is decoded.
 * Bytes that are no message are left to whoever decodes them.
 *
 * @throws ConnectError `resource_exhausted`
 */
export function checkEntries(desc: DescMessage, bytes: Uint8Array): void {
  const isTooMuch = isJsonLike(bytes) && jsonEntries(bytes) > ENTRIES_MAX;
  if (isTooMuch || binaryEntries(desc, bytes) > ENTRIES_MAX) {
    const message = `the request holds more than ${ENTRIES_MAX} entries`;
    throw toConnectError(new N0Error("resource_exhausted", message));
  }
}

/** What begins like JSON may be a binary message all the same: then both are counted. */
function isJsonLike(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return first === 0x7b || first === 0x5b;
}

/** No value of JSON stands without a comma, a brace or a bracket before it. */
function jsonEntries(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === 0x2c || byte === 0x7b || byte === 0x5b) count += 1;
  return count;
}

/** No more than a few above `ENTRIES_MAX`. */
function binaryEntries(desc: DescMessage, bytes: Uint8Array): number {
  const walk = { reader: new BinaryReader(bytes), count: 0 };
  try {
    walkMessage(walk, desc, bytes.length);
  } catch {
    // So it ends for who decodes it, and no sooner.
  }
  return walk.count;
}

interface Walk {
  readonly reader: BinaryReader;
  count: number;
}

function walkMessage(walk: Walk, desc: DescMessage, length: number): void {
  const { reader } = walk;
  const fields = fieldsOf(desc);
  const end = reader.pos + length;
  while (reader.pos < end && walk.count <= ENTRIES_MAX) {
    const [number, wireType] = reader.tag();
    const field = fields.get(number);
    if (field === undefined) reader.skip(wireType, number);
    else walkField(walk, field, wireType);
  }
}

/** Like the decoder it goes by the type of the field, whatever the wire says. */
function walkField(walk: Walk, field: DescField, wireType: WireType): void {
  const { reader } = walk;
  if (field.fieldKind !== "scalar" && field.fieldKind !== "enum") walk.count += 1;
  if (field.fieldKind === "map") reader.skip(WireType.LengthDelimited);
  else if (field.message !== undefined) walkMessage(walk, field.message, reader.uint32());
  else if (field.fieldKind === "list" && wireType === WireType.LengthDelimited) {
    const length = reader.skip(wireType).length;
    // Numbers stand together, each in a byte at least.
    if (wireTypeOf(field) !== wireType) walk.count += length;
  } else reader.skip(wireTypeOf(field));
}

function wireTypeOf({ scalar }: DescField): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

const known = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(desc: DescMessage): ReadonlyMap<number, DescField> {
  let fields = known.get(desc);
  if (fields === undefined) {
    fields = new Map(desc.fields.map((field) => [field.number, field]));
    known.set(desc, fields);
  }
  return fields;
}
