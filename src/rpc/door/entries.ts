import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { N0Error } from "../../util/errors.ts";
import { toConnectError } from "../errors.ts";

/**
 * The maximum number of list entries, map entries and nested messages in one message of a request. Each
 * becomes an object of some hundred bytes, from as few as two bytes on the wire. A survey has the most:
 * 16,384 seeds with a dozen each.
 */
export const ENTRIES_MAX = 200_000;

/**
 * Counts the objects of a message before any is made, in the same way as the decoder. If the bytes are not a
 * message, the decoder refuses them.
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

/** Bytes that begin like JSON may still be a binary message: then it counts both. */
function isJsonLike(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return first === 0x7b || first === 0x5b;
}

/** Before every JSON value there is a comma, a brace or a bracket. */
function jsonEntries(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === 0x2c || byte === 0x7b || byte === 0x5b) count += 1;
  return count;
}

/** Counts only a few more than `ENTRIES_MAX`. */
function binaryEntries(desc: DescMessage, bytes: Uint8Array): number {
  const walk = { reader: new BinaryReader(bytes), count: 0 };
  try {
    walkMessage(walk, desc, bytes.length);
  } catch {
    // The decoder also stops here, and not before.
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

/** Like the decoder, it follows the type of the field, not the wire type. */
function walkField(walk: Walk, field: DescField, wireType: WireType): void {
  const { reader } = walk;
  if (field.fieldKind !== "scalar" && field.fieldKind !== "enum") walk.count += 1;
  if (field.fieldKind === "map") reader.skip(WireType.LengthDelimited);
  else if (field.message !== undefined) walkMessage(walk, field.message, reader.uint32());
  else if (field.fieldKind === "list" && wireType === WireType.LengthDelimited) {
    const length = reader.skip(wireType).length;
    // Packed numbers take at least one byte each.
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
