import {
  create,
  type DescMethodUnary,
  type JsonObject,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import { escapeText } from "../../../util/template/text.ts";
import { messageType } from "../../../util/template/value-type.ts";
import { mapTexts } from "../../../util/template/walk.ts";

/** A task of an undo, before it is known which tasks come before it. */
export interface Draft {
  readonly name: string;
  /** The kind of object. */
  readonly type: string;
  /** The RPC. */
  readonly action: string;
  readonly args: JsonObject;
  /** It makes or empties its object, so that objects which refer to each other can come and go. */
  readonly isPrelude?: true;
}

/** @param subject What the name of the task has besides the RPC, such as the name of its object. */
export function draft<M extends DescMethodUnary>(
  type: string,
  method: M,
  subject: string,
  request: MessageInitShape<M["input"]>,
): Draft {
  const { input, name: action } = method;
  const json = toJson(input, create(input, request), { useProtoFieldName: true });
  // The texts of an object are no templates.
  const args = mapTexts(messageType(input), json, escapeText) as JsonObject;
  return { name: `${action} ${subject}`, type, action, args };
}
