import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { put, remove } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import type { HeldObjects } from "../../../datastore/held-objects.ts";
import { type Stack, StackSchema } from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Tx } from "../../core/context.ts";
import type { Api } from "../../provisioning/context.ts";
import { getStack, membersOf } from "./check.ts";
import {
  type StackMember,
  type StackVersionRecord,
  stackMembers,
  stackOwners,
  stacks,
  stackVersions,
  versionPart,
} from "./collection.ts";

/** A stack remembers this many of its changes. */
const VERSIONS_MAX = 50;

/** The records of a stack after a change: its members take the place of the former ones. */
export async function writesOf(
  api: Api,
  held: HeldObjects,
  ref: Ref,
  before: Stack | undefined,
  record: StackVersionRecord,
  members: ReadonlyMap<string, { readonly ref: Ref; readonly member: StackMember }>,
): Promise<Writes> {
  const former = await membersOf(api, ref);
  const { version, changedBy, transactionId, changedAtMs } = record;
  const after = create(StackSchema, {
    ...{ name: ref.name, version, changedBy, changedIn: transactionId },
    changedAt: timestampFromMs(changedAtMs),
    objectCount: members.size,
  });
  const old = version - VERSIONS_MAX;
  return merge(
    held.put(stacks, ref, after, before),
    put(stackVersions, [ref, versionPart(version)], record),
    old > 0 ? remove(stackVersions, ref, versionPart(old)) : {},
    ...former.filter(({ key }) => !members.has(key)).map((one) => forget(ref, one.ref)),
    ...[...members.values()].map(({ ref: of, member }) =>
      merge(
        put(stackMembers, [ref, of.kind, of.name], member),
        put(stackOwners, [of.scope, of.kind, of.name], { stack: ref.name }),
      ),
    ),
  );
}

/** Forgets the stack with its members, which stay. */
export async function removalOf(api: Api, held: HeldObjects, ref: Ref): Promise<Writes> {
  const stack = await getStack(api, ref);
  const members = await membersOf(api, ref);
  const versions = await api.records.list(stackVersions, [ref]);
  return merge(
    held.remove(stacks, ref, stack),
    ...members.map((one) => forget(ref, one.ref)),
    ...versions.map(({ value }) => remove(stackVersions, ref, versionPart(value.version))),
  );
}

function forget(stack: Ref, { scope, kind, name }: Ref): Writes {
  return merge(remove(stackMembers, stack, kind, name), remove(stackOwners, scope, kind, name));
}

/** Stacks go with their project, like the objects that they have made. */
export const withProject = {
  async remove(api: Api, tx: Tx, refs: readonly Ref[]) {
    return await Promise.all(refs.map((ref) => removalOf(api, tx.context.held, ref)));
  },
};
