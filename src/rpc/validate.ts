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

/** Of a map's key in the path of a field. */
const KEY_LENGTH_MAX = 80;

/**
 * Of one request about a user's object. The limits of the fields are those of the largest thing that
 * anybody may want in one of them; all of them at once would make a record that the datastore refuses.
 * Three of these fit into one: an update may change annotations and labels by a request each.
 */
const TEXT_BYTES_MAX = 64 << 10;
const USERS_OBJECTS = /^n0stack\.\w+\.v0\./;

/** One for the process: it compiles the rules of each message type once (then about 12 µs a call). */
let shared: Validator | undefined;

/**
 * Refuses requests, and messages of request streams, that break a rule of the proto. Goes inside
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
 * @throws N0Error `invalid_argument`, naming every field at fault as the client spells it
 *   (`nics[0].network_name`) and the rule in words.
 */
export function assertValid<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): void {
  const tooLarge: FieldViolation[] = [];
  findTooLarge(schema, message, (field, description) => tooLarge.push({ field, description }));
  if (USERS_OBJECTS.test(schema.typeName) && isTextAbove(message, TEXT_BYTES_MAX)) {
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

/** `annotations["a"].b[0]`. A key may be as long as the rule that it breaks forbids. */
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
 * Patterns are those of our own protos, so the engine of the language may match them: several times
 * faster than the RE2 in JavaScript that protovalidate brings, which is for patterns of strangers.
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
