import {
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";

/** The characters of a value that people see. */
const VALUE_LENGTH_MAX = 400;
/** The differences that one error names. */
const SHOWN_MAX = 20;

/** A field of an object that is not as a request asks. The values are for people. */
export interface Difference {
  /** As the request spells it. */
  readonly field: string;
  readonly present: string;
  readonly wanted: string;
}

/** An object that a task is to make, and that exists and differs. */
export interface Different {
  /** The record. */
  readonly key: string;
  readonly differences: readonly Difference[];
  /** The object as it would be, if one can say so. */
  readonly wanted?: Message;
  readonly present?: Message;
  /** Of the request, what no object shows: it may be a secret. */
  readonly unseen?: Message;
  /** What would be lost if it was replaced, for an object whose saga does that. See docs/adr/0078. */
  readonly loss?: Loss;
}

/** Data that goes with an object. */
export interface Loss {
  /** For people, such as `block storage "disk" (20GiB)`. */
  readonly what: string;
  readonly bytes: bigint;
  /** The rights that removing and replacing it needs. */
  readonly needs: readonly { readonly resource: string; readonly verb: string }[];
}

/**
 * What differs between an object and the one that a request asks for, in the fields that a request and an object
 * both have. So a new field is compared as soon as both have it.
 *
 * @param wanted With the values of the object wherever the request leaves the choice to the API.
 */
export function differencesIn<D extends DescMessage>(
  request: DescMessage,
  desc: D,
  wanted: MessageShape<D>,
  present: MessageShape<D>,
): readonly Difference[] {
  const names = new Set(request.fields.map(({ name }) => name));
  const json = (message: MessageShape<D>) =>
    toJson(desc, message, { useProtoFieldName: true, alwaysEmitImplicit: true });
  return inMessage(desc, "", json(present), json(wanted), (name) => names.has(name));
}

function inMessage(
  desc: DescMessage,
  prefix: string,
  present: JsonValue,
  wanted: JsonValue,
  isCompared: (name: string) => boolean = () => true,
): readonly Difference[] {
  if (!isObject(present) || !isObject(wanted)) return leaf(prefix.slice(0, -1), present, wanted);
  return desc.fields
    .filter(({ name }) => isCompared(name))
    .flatMap((field) => {
      const { name } = field;
      return inField(field, `${prefix}${name}`, present[name], wanted[name]);
    });
}

function inField(
  field: DescField,
  path: string,
  present: JsonValue | undefined,
  wanted: JsonValue | undefined,
): readonly Difference[] {
  const isOfMessages = field.fieldKind === "list" && field.listKind === "message";
  if (isOfMessages && Array.isArray(present) && Array.isArray(wanted)) {
    if (present.length !== wanted.length) return leaf(path, present.length, wanted.length);
    return present.flatMap((one, i) =>
      inMessage(field.message, `${path}[${i}].`, one, wanted[i] as JsonValue),
    );
  }
  if (field.fieldKind === "map" && isObject(present) && isObject(wanted)) {
    const keys = new Set([...Object.keys(present), ...Object.keys(wanted)]);
    return [...keys]
      .sort()
      .flatMap((key) => leaf(`${path}[${JSON.stringify(key)}]`, present[key], wanted[key]));
  }
  return leaf(path, present, wanted);
}

function leaf(
  field: string,
  present: JsonValue | undefined,
  wanted: JsonValue | undefined,
): readonly Difference[] {
  const text = (value: JsonValue | undefined) =>
    value === undefined ? "not set" : JSON.stringify(value);
  const [is, asked] = [text(present), text(wanted)];
  return is === asked ? [] : [{ field, present: clipped(is), wanted: clipped(asked) }];
}

/** A list of keys may be long. */
function clipped(text: string): string {
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text;
}

/** `limit_bytes is "1", not "2"; and 3 more`: the first ones, for an error. */
export function differencesText(differences: readonly Difference[]): string {
  const texts = differences
    .slice(0, SHOWN_MAX)
    .map(({ field, present, wanted }) => `${field} is ${present}, not ${wanted}`);
  const more = differences.length - SHOWN_MAX;
  return more > 0 ? `${texts.join("; ")}; and ${more} more` : texts.join("; ");
}

function isObject(value: JsonValue | undefined): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Annotations = { readonly [key: string]: string };

/**
 * The annotations of an object and of a request for it, for a comparison. The one that asks for a node stands for
 * the node on which the object is.
 */
export function annotationsOn(
  nodeKey: string,
  nodeName: string,
  present: Annotations,
  wanted: Annotations,
): { readonly present: { [key: string]: string }; readonly wanted: { [key: string]: string } } {
  return {
    present: { ...present, [nodeKey]: nodeName },
    wanted: { ...wanted, [nodeKey]: wanted[nodeKey] ?? nodeName },
  };
}
