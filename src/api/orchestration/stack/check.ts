import { create, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import {
  type CheckStackResponse,
  CheckStackResponseSchema,
  StackObject_State as State,
} from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { notFound } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { differencesIn } from "../../core/resource/differences.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../../provisioning/context.ts";
import { undoingOf } from "../undo/kinds.ts";
import { type StackMember, stackMembers, stacks } from "./collection.ts";

/** Says how the objects of a stack are now. @throws N0Error `not_found`. */
export async function checkStack(api: Api, call: Call, name: string): Promise<CheckStackResponse> {
  const ref = refOf(call, stacks, name);
  const stack = await getStack(api, ref);
  const members = await membersOf(api, ref);
  const objects = [];
  for (const { ref: of, key, member } of members) {
    const { state, drifts } = await driftOf(api, key, member);
    const { task, isFound: found } = member;
    objects.push({ kind: of.kind, name: of.name, task, found, state, drifts });
  }
  return create(CheckStackResponseSchema, { stack, objects });
}

export async function getStack({ records }: Pick<Api, "records">, ref: Ref) {
  const stored = await records.find(stacks, ref);
  if (stored === undefined) throw notFound("stack", ref.name);
  return stored.value;
}

/** An object of a stack. */
export interface Member {
  readonly ref: Ref;
  /** Of its record. */
  readonly key: string;
  readonly member: StackMember;
}

/** In the order of kinds and names. */
export async function membersOf(
  api: Pick<Api, "kinds" | "records">,
  stack: Ref,
): Promise<Member[]> {
  const stored = await api.records.list(stackMembers, [stack]);
  return stored.flatMap(({ key, value: member }) => {
    const [, kind = "", name = ""] = stackMembers.parts(key);
    const of = api.kinds.find((one) => one.kind === kind);
    if (of === undefined) return [];
    const ref = { kind, scope: stack.scope, name };
    return [{ ref, key: of.collection.key(ref), member }];
  });
}

/** An object as a stack leaves it. Undefined for a kind that a stack cannot have. */
export function leftOf(key: string, record: Uint8Array): StackMember["left"] | undefined {
  const undoing = undoingOf(key);
  if (undoing === undefined) return undefined;
  const plain = undoing.plain(undoing.of.decode(record));
  return toJson(undoing.schema, plain) as StackMember["left"];
}

/** What somebody has changed of an object since the stack has left it. */
async function driftOf({ datastore }: Api, key: string, { left }: StackMember) {
  const undoing = undoingOf(key);
  const present = await datastore.get(key);
  if (undoing === undefined || present === undefined) return { state: State.GONE, drifts: [] };
  const is = undoing.plain(undoing.of.decode(present.value));
  const json = left as JsonObject;
  // An older version may have left what does not count any more.
  const was = undoing.plain(fromJson(undoing.schema, json, { ignoreUnknownFields: true }));
  const { schema } = undoing;
  const drifts = differencesIn(schema, schema, was, is).map(({ field, present, wanted }) => {
    return { field, left: wanted, present };
  });
  return { state: drifts.length === 0 ? State.AS_LEFT : State.CHANGED, drifts };
}
