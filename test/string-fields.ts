import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";

/** A field of a request that takes a text, at any depth. */
export interface StringField {
  /** Such as `nics[0].network_name`. */
  readonly path: string;
  /** The same request with this text in the field. */
  put(request: JsonObject, text: string): JsonObject;
}

export function stringFieldsOf({ fields }: DescMessage): readonly StringField[] {
  return fields.flatMap((field): readonly StringField[] => {
    const { fieldKind, jsonName, name } = field;
    const set = (request: JsonObject, value: JsonValue) => ({ ...request, [jsonName]: value });
    if (fieldKind === "map") {
      if (!isText(field)) return [];
      return [
        { path: `${name} key`, put: (request, text) => set(request, { [text]: "x" }) },
        { path: `${name} value`, put: (request, text) => set(request, { x: text }) },
      ];
    }
    const isList = fieldKind === "list";
    const path = isList ? `${name}[0]` : name;
    const listed = (value: JsonValue) => (isList ? [value] : value);
    if (isText(field)) return [{ path, put: (request, text) => set(request, listed(text)) }];
    if (field.message === undefined) return [];
    // The JSON form of the messages of Google is a text.
    if (field.message.typeName.startsWith("google.protobuf.")) return [];
    return stringFieldsOf(field.message).map((inner) => ({
      path: `${path}.${inner.path}`,
      put: (request, text) =>
        set(request, listed(inner.put(partOf(request[jsonName], isList), text))),
    }));
  });
}

function isText(field: DescField): boolean {
  return field.scalar === ScalarType.STRING;
}

/** The message in the field, or the first one of its list. An empty message if there is none. */
function partOf(value: JsonValue | undefined, isList: boolean): JsonObject {
  const part = isList && Array.isArray(value) ? value[0] : value;
  return (part ?? {}) as JsonObject;
}
