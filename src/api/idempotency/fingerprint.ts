import { hash } from "node:crypto";
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";

/**
 * The same for two requests that say the same. The entries of a map are put in order first: a client may
 * write them in another one each time.
 */
export function fingerprintOf(schema: DescMessage, request: Message): string {
  return hash("sha256", toBinary<DescMessage>(schema, inOrder(schema, request)), "base64url");
}

type Fields = { [name: string]: unknown };

/** The message itself where nothing in it is out of order. */
function inOrder(schema: DescMessage, message: Message): Message {
  const fields = message as Message & Fields;
  let copy: typeof fields | undefined;
  for (const field of fieldsWithMaps(schema)) {
    const value = fields[field.localName];
    const ordered = valueInOrder(field, value);
    if (ordered === value) continue;
    // With the prototype, which has the defaults of fields that are not set.
    copy ??= Object.assign(Object.create(Object.getPrototypeOf(fields)), fields) as typeof fields;
    copy[field.localName] = ordered;
  }
  return copy ?? message;
}

function valueInOrder(field: DescField, value: unknown): unknown {
  if (value === undefined) return value;
  if (field.fieldKind === "map") return mapInOrder(field, value as Fields);
  const { message: schema } = field;
  if (schema === undefined) return value;
  if (field.fieldKind === "message") return inOrder(schema, value as Message);
  const list = value as readonly Message[];
  const ordered = list.map((item) => inOrder(schema, item));
  return ordered.some((item, i) => item !== list[i]) ? ordered : value;
}

function mapInOrder({ message: schema }: DescField, map: Fields): Fields {
  const names = Object.keys(map);
  const sorted = names.toSorted();
  const valueOf = (name: string) =>
    schema === undefined ? map[name] : inOrder(schema, map[name] as Message);
  const isInOrder = names.every((name, i) => name === sorted[i] && valueOf(name) === map[name]);
  return isInOrder ? map : Object.fromEntries(sorted.map((name) => [name, valueOf(name)]));
}

const known = new Map<DescMessage, readonly DescField[]>();

/** Those that are maps, or hold messages that have some. None within a oneof: no request of ours has one. */
function fieldsWithMaps(schema: DescMessage): readonly DescField[] {
  const found = known.get(schema);
  if (found !== undefined) return found;
  // Ends the search in a message that holds itself.
  known.set(schema, []);
  const fields = schema.fields.filter((field) => field.oneof === undefined && hasMap(field));
  known.set(schema, fields);
  return fields;
}

function hasMap(field: DescField): boolean {
  if (field.fieldKind === "map") return true;
  return field.message !== undefined && fieldsWithMaps(field.message).length > 0;
}
