import type { DescEnum, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { parseBitRate } from "../../src/util/bit-rate.ts";
import { parseBytes } from "../../src/util/bytes.ts";
import { N0Error } from "../../src/util/errors.ts";
import { quote } from "../../src/util/quote.ts";

/** The type of one plain value: a field, an element of a list, or a value of a map. */
export interface Leaf {
  /** As the proto spells it. If the name ends in `_bytes`, the value may be a size such as `10GiB`. */
  readonly name: string;
  readonly scalar?: ScalarType | undefined;
  readonly enum?: DescEnum | undefined;
}

const RANGE_OF: ReadonlyMap<ScalarType, readonly [bigint, bigint]> = new Map([
  ...[ScalarType.UINT32, ScalarType.FIXED32].map((t) => [t, [0n, 2n ** 32n - 1n]] as const),
  ...[ScalarType.UINT64, ScalarType.FIXED64].map((t) => [t, [0n, 2n ** 64n - 1n]] as const),
  ...[ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32].map(
    (t) => [t, [-(2n ** 31n), 2n ** 31n - 1n]] as const,
  ),
  ...[ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64].map(
    (t) => [t, [-(2n ** 63n), 2n ** 63n - 1n]] as const,
  ),
]);

const INTEGER = /^[+-]?(\d+|0x[0-9a-fA-F]+|0o[0-7]+)$/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/**
 * Converts the text of one value into proto JSON.
 *
 * @throws N0Error `invalid_argument` that says what is expected and does not name the field.
 */
export function scalarFromText(leaf: Leaf, text: string): JsonValue {
  if (leaf.enum !== undefined) return enumFromText(leaf.enum, text);
  switch (leaf.scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return boolFromText(text);
    case ScalarType.BYTES:
      if (!BASE64.test(text)) throw expected("base64", text);
      return text;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      if (text.trim() === "" || !Number.isFinite(Number(text))) throw expected("a number", text);
      return Number(text);
    default:
      return integerFromText(leaf, text);
  }
}

function integerFromText(leaf: Leaf, text: string): string {
  const [min, max] = RANGE_OF.get(leaf.scalar ?? ScalarType.UINT64) ?? [0n, 2n ** 64n - 1n];
  const isSize = leaf.name.endsWith("_bytes");
  if (!INTEGER.test(text)) {
    if (isRate(leaf)) return String(parseBitRate(text));
    if (!isSize) throw expected("a whole number", text);
    return String(parseBytes(text));
  }
  const sign = text.startsWith("-") ? -1n : 1n;
  const value = sign * BigInt(text.replace(/^[+-]/, ""));
  if (value < min || value > max) throw expected(`a whole number from ${min} to ${max}`, text);
  return String(value);
}

/** Its value may be written such as `10M`. */
export function isRate({ name }: Pick<Leaf, "name">): boolean {
  return name.endsWith("_bits_per_second");
}

function boolFromText(text: string): boolean {
  if (/^(true|yes|on)$/i.test(text)) return true;
  if (/^(false|no|off)$/i.test(text)) return false;
  throw expected("true or false", text);
}

function enumFromText(desc: DescEnum, text: string): JsonValue {
  const byName = desc.values.find((v) => v.name === text);
  if (byName !== undefined) return byName.name;
  const byNumber = desc.values.find((v) => String(v.number) === text);
  if (byNumber !== undefined) return byNumber.name;
  throw expected(`one of ${desc.values.map((v) => v.name).join(", ")}`, text);
}

function expected(what: string, text: string): N0Error {
  return new N0Error("invalid_argument", `must be ${what}, not ${quote(text)}`);
}
