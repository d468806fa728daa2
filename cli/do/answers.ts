import type { JsonValue, Message } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { N0Error } from "../../src/util/errors.ts";
import { referencesIn } from "../../src/util/template/check.ts";
import { type Answer, type AnswerOf, fillArgs } from "../../src/util/template/fill.ts";
import type { Task } from "./check.ts";

/** Keeps what tasks answered, for the tasks that run later. */
export interface Answers {
  readonly answerOf: AnswerOf;
  keep(task: Task, json: JsonValue): void;
}

/** Keeps only answers to which a task or an output refers: the others may be long. */
export function newAnswers(
  tasks: ReadonlyMap<string, Task>,
  outputs: readonly { readonly json: JsonValue }[],
): Answers {
  const answers = new Map<string, Answer>();
  const wanted = new Set(
    [...[...tasks.values()].map(({ args }) => args), ...outputs.map(({ json }) => json)].flatMap(
      (json) => referencesIn(json).map(({ reference }) => reference.name),
    ),
  );
  return {
    answerOf: (name) => answers.get(name),
    keep({ name, method }, json) {
      if (wanted.has(name)) answers.set(name, { type: method.output, json });
    },
  };
}

/**
 * The request of a task, with the values to which it refers.
 *
 * @throws ConnectError, as a call that fails does, if an answer does not have such a value, or it does not fit.
 */
export function requestOf({ method, args }: Task, answerOf: AnswerOf): Message {
  try {
    return fromJson(method.input, fillArgs(method.input, args, answerOf));
  } catch (reason) {
    if (reason instanceof N0Error) {
      const { message } = reason;
      throw new ConnectError(message, Code.FailedPrecondition, undefined, undefined, reason);
    }
    // A number that is too large for its field.
    const why = reason instanceof Error ? reason.message : String(reason);
    throw new ConnectError(`args: ${why}`, Code.InvalidArgument, undefined, undefined, reason);
  }
}
