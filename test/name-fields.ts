import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { getOption, hasExtension } from "@bufbuild/protobuf";
import type { StringRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import {
  Ignore,
  field as rulesOption,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import {
  name as nameRule,
  shared_name as sharedRule,
} from "../src/gen/n0stack/rules/v1alpha1/rules_pb.ts";

/** A field of a request for the name of an object, according to its rule in the proto. */
export interface NameField {
  /** As an error spells it, such as `nics[0].network_name`. */
  readonly path: string;
  /** The field may be empty. */
  readonly isOptional: boolean;
  /** The name may have a project before it. */
  readonly isShared: boolean;
  /** The same request with this name in the field. */
  put(request: JsonObject, name: string): JsonObject;
}

/** The rules of a string, or of the strings of a list. */
export function stringRulesOf(field: DescField): StringRules | undefined {
  const { value: rule } = getOption(field, rulesOption).type;
  const own = rule?.$typeName === "buf.validate.RepeatedRules" ? rule.items?.type.value : rule;
  return own?.$typeName === "buf.validate.StringRules" ? own : undefined;
}

export function nameFieldsOf({ fields }: DescMessage): readonly NameField[] {
  return fields.flatMap((field): readonly NameField[] => {
    const isOptional = getOption(field, rulesOption).ignore === Ignore.IF_ZERO_VALUE;
    const isList = field.fieldKind === "list";
    const path = isList ? `${field.name}[0]` : field.name;
    const put = (request: JsonObject, value: JsonValue): JsonObject => ({
      ...request,
      [field.jsonName]: isList ? [value] : value,
    });
    const rules = stringRulesOf(field);
    const isShared = rules !== undefined && hasExtension(rules, sharedRule);
    if (isShared || (rules !== undefined && hasExtension(rules, nameRule))) {
      return [{ path, isOptional, isShared, put }];
    }
    if (field.fieldKind === "map" || field.message === undefined) return [];
    return nameFieldsOf(field.message).map((inner) => ({
      ...inner,
      path: `${path}.${inner.path}`,
      put: (request, name) => put(request, inner.put(partOf(request, field), name)),
    }));
  });
}

/** The message in the field, or the first one of its list. An empty message if there is none. */
function partOf(request: JsonObject, { jsonName }: DescField): JsonObject {
  const value = request[jsonName];
  return ((Array.isArray(value) ? value[0] : value) ?? {}) as JsonObject;
}
