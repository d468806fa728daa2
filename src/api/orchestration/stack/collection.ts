import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { StackSchema } from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import type { Json } from "../../../util/json.ts";

export const stacks = protoCollection("stack", StackSchema);

/** An object of a stack, under the stack and its own kind and name. */
export type StackMember = {
  /** The task that made it, or found it. */
  readonly task: string;
  /** It was there before the stack. */
  readonly isFound: boolean;
  /** The object as the stack has left it, as protobuf's JSON, without what only observes. */
  readonly left: { readonly [field: string]: Json };
};
export const stackMembers = jsonCollection<StackMember>("stack_member", {
  of: "stack",
  bytesMax: 4 << 20,
});

/** The name of the stack to which an object belongs, under the scope, kind and name of the object. */
export const stackOwners = jsonCollection<{ readonly stack: string }>("stack_owner");

/** A change of a stack, under the stack and the number of the change, with leading zeros. */
export type StackVersionRecord = {
  readonly version: number;
  readonly changedAtMs: number;
  readonly changedBy: string;
  readonly transactionId: string;
  readonly file: string;
  readonly parameters: { readonly [name: string]: string };
  readonly outputs: { readonly [name: string]: Json };
};
export const stackVersions = jsonCollection<StackVersionRecord>("stack_version", {
  of: "stack",
  bytesMax: 16 << 20,
});

export function versionPart(version: number): string {
  return version.toString().padStart(9, "0");
}
