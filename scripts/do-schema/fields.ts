import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";
import {
  type FieldRules,
  field as fieldRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { isFieldMask } from "../../cli/convert/field-mask.ts";
import { isRate } from "../../cli/convert/scalar.ts";
import { namePattern } from "../../src/rpc/name-rules.ts";

/** A part of a JSON Schema, draft 7. */
export type Schema = { readonly [key: string]: unknown };

/** A size or a rate with a unit, such as `10GiB` or `10M`. n0cli says which units there are. */
const WITH_UNIT = "^[0-9.]+ ?[A-Za-z]+$";
const WHOLE = "^[+-]?([0-9]+|0x[0-9a-fA-F]+|0o[0-7]+)$";
const BOOLEAN =
  "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])$";

/** A text with a reference, which may stand in the place of any value. */
export const REFERENCE = { type: "string", pattern: '\\$\\{ *("|[A-Za-z0-9_-]+[.[])' };
const REFERENCE_THERE = { $ref: "#/definitions/reference" };

/** The schema of one field, as `do` reads it: the text of a plain value counts, and nothing is as no field. */
export function fieldSchema(field: DescField, refTo: (desc: DescMessage) => Schema): Schema {
  const about = aboutOf(field);
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
  const value = valueSchema(field, rules, refTo);
  return { ...about, anyOf: [value, { type: "null" }, REFERENCE_THERE] };
}

/** The comment of a message or a field, for an editor to show. */
export function aboutOf(desc: DescField | DescMessage): Schema {
  const text = getComments(desc)
    .leading?.replaceAll(/\s*\n\s*/g, " ")
    .trim();
  return text === undefined || text === "" ? {} : { description: text };
}

function valueSchema(
  field: DescField,
  rules: FieldRules | undefined,
  refTo: (desc: DescMessage) => Schema,
): Schema {
  const ofType = rules?.type;
  switch (field.fieldKind) {
    case "message":
      return messageSchema(field.message, refTo);
    case "list": {
      const list = ofType?.case === "repeated" ? ofType.value : undefined;
      const items =
        field.listKind === "message"
          ? messageSchema(field.message, refTo)
          : leafSchema(field, list?.items);
      const item = { anyOf: [items, REFERENCE_THERE] };
      return {
        type: "array",
        items: item,
        ...countLimits(list?.minItems, list?.maxItems, "Items"),
      };
    }
    case "map": {
      const map = ofType?.case === "map" ? ofType.value : undefined;
      const leaf = { name: "", scalar: field.scalar, enum: field.enum };
      const values =
        field.mapKind === "message"
          ? messageSchema(field.message, refTo)
          : leafSchema(leaf, map?.values);
      return {
        type: "object",
        additionalProperties: { anyOf: [values, REFERENCE_THERE] },
        ...countLimits(map?.minPairs, map?.maxPairs, "Properties"),
      };
    }
    default:
      return leafSchema(field, rules);
  }
}

/** A FieldMask is a list of names, or one text with commas; other messages of protobuf may be text. */
function messageSchema(desc: DescMessage, refTo: (desc: DescMessage) => Schema): Schema {
  if (isFieldMask(desc))
    return { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] };
  if (desc.typeName.startsWith("google.protobuf.")) return { type: ["string", "number", "object"] };
  return refTo(desc);
}

type LeafField = Pick<DescField, "name" | "scalar" | "enum">;

function leafSchema(field: LeafField, rules: FieldRules | undefined): Schema {
  if (field.enum !== undefined) {
    return { enum: field.enum.values.flatMap(({ name, number }) => [name, number]) };
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return { anyOf: [{ type: "string", ...textLimits(rules) }, { type: ["number", "boolean"] }] };
    case ScalarType.BYTES:
      return { type: ["string", "number"] };
    case ScalarType.BOOL:
      return { anyOf: [{ type: "boolean" }, { type: "string", pattern: BOOLEAN }] };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: ["number", "string"] };
    default: {
      const isMeasured = field.name.endsWith("_bytes") || isRate(field);
      const pattern = isMeasured ? `${WHOLE}|${WITH_UNIT}` : WHOLE;
      return {
        anyOf: [
          { type: "integer", ...(isUnsigned(field.scalar) ? numberLimits(rules) : {}) },
          { type: "string", pattern },
        ],
      };
    }
  }
}

function isUnsigned(scalar: ScalarType | undefined): boolean {
  const { UINT32, UINT64, FIXED32, FIXED64 } = ScalarType;
  return ([UINT32, UINT64, FIXED32, FIXED64] as (ScalarType | undefined)[]).includes(scalar);
}

function textLimits(rules: FieldRules | undefined): Schema {
  if (rules?.type.case !== "string") return {};
  const { pattern, maxLen, minLen } = rules.type.value;
  const wanted = pattern || namePattern(rules.type.value);
  return {
    // An empty text is as no text, wherever it is not required.
    ...(wanted === "" ? {} : { pattern: rules.required ? wanted : `^$|${wanted}` }),
    ...(minLen === 0n ? {} : { minLength: Number(minLen) }),
    ...(maxLen === 0n ? {} : { maxLength: Number(maxLen) }),
  };
}

function numberLimits(rules: FieldRules | undefined): Schema {
  if (rules?.type.case !== "uint32" && rules?.type.case !== "uint64") return { minimum: 0 };
  const { lessThan } = rules.type.value;
  return {
    minimum: 0,
    ...(lessThan.case === "lte" ? { maximum: Number(lessThan.value) } : {}),
  };
}

function countLimits(min: bigint | undefined, max: bigint | undefined, what: string): Schema {
  return {
    ...(min === undefined || min === 0n ? {} : { [`min${what}`]: Number(min) }),
    ...(max === undefined || max === 0n ? {} : { [`max${what}`]: Number(max) }),
  };
}
