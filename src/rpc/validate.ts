import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Validator, Violation } from "@bufbuild/protovalidate";
import { createValidator } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { cut } from "../util/quote.ts";
import type { FieldViolation } from "./errors.ts";
import { ViolationsError } from "./errors.ts";
import { findTooLarge, isTextAbove } from "./limits.ts";
import { nameRules } from "./name-rules.ts";

/** The maximum length of a map key in the path of a field. */
const KEY_LENGTH_MAX = 80;

/**
 * The maximum size of the strings of one request about an object. Each field may be as large as anybody
 * needs, but all of them together would make a record that the datastore refuses. Three times this fits
 * into a record, because an update may change annotations and labels by one request each.
 */
const TEXT_BYTES_MAX = 64 << 10;
/** Those that have a record of their own. */
const TEXTS_APART: Readonly<Record<string, string>> = {
  "n0stack.provisioning.v0.CreateVirtualMachineRequest": "userData",
};
const USERS_OBJECTS = /^n0stack\.\w+\.v0\./;

/** One for the process. It compiles the rules of each message type once (then a call takes about 12 µs). */
let shared: Validator | undefined;

/**
 * Refuses requests, and messages of request streams, that break a rule of the proto. It must be inside
 * `errorInterceptor`.
 */
export function validateInterceptor(): Interceptor {
  return (next) => async (request) => {
    const { input } = request.method;
    if (request.stream) {
      return await next({ ...request, message: validated(input, request.message) });
    }
    assertValid(input, request.message);
    return await next(request);
  };
}

async function* validated(
  input: DescMessage,
  messages: AsyncIterable<Message>,
): AsyncGenerator<Message, void> {
  for await (const message of messages) {
    assertValid(input, message);
    yield message;
  }
}

/**
 * @throws N0Error `invalid_argument`, that names every wrong field as the client spells it
 *   (`nics[0].network_name`), and the rule in words.
 */
export function assertValid<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): void {
  const tooLarge: FieldViolation[] = [];
  findTooLarge(schema, message, (field, description) => tooLarge.push({ field, description }));
  const apart = TEXTS_APART[schema.typeName];
  const texts = apart === undefined ? message : { ...message, [apart]: "" };
  if (USERS_OBJECTS.test(schema.typeName) && isTextAbove(texts, TEXT_BYTES_MAX)) {
    const description = `the texts of the request, such as annotations and labels, must have at most ${TEXT_BYTES_MAX} bytes together`;
    tooLarge.push({ field: "", description });
  }
  if (tooLarge.length > 0) throw new ViolationsError(tooLarge);
  shared ??= createValidator({ registry: nameRules, regexMatch: matches });
  const result = shared.validate(schema, message);
  if (result.kind === "valid") return;
  if (result.kind === "error") throw result.error;
  throw new ViolationsError(
    result.violations.map((violation) => ({
      field: fieldName(violation.field),
      description: inWords(violation),
    })),
  );
}

/** `annotations["a"].b[0]`. A wrong key may be longer than its rule allows, so it is cut. */
function fieldName(path: Violation["field"]): string {
  const short = path.map((part) =>
    part.kind === "map_sub" && typeof part.key === "string"
      ? { ...part, key: cut(part.key, KEY_LENGTH_MAX) }
      : part,
  );
  return pathToString(short);
}

const compiled = new Map<string, RegExp>();

/**
 * All patterns come from our own protos, so JavaScript's own engine can match them. It is several times
 * faster than protovalidate's RE2 in JavaScript, which is for untrusted patterns.
 */
function matches(pattern: string, against: string): boolean {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    regex = new RegExp(pattern, "u");
    compiled.set(pattern, regex);
  }
  return regex.test(against);
}

function inWords({ message, forKey }: Violation): string {
  return forKey ? `the key ${ruleInWords(message)}` : ruleInWords(message);
}

function ruleInWords(message: string): string {
  return message === "must be at least 1 characters" ? "must not be empty" : message;
}
