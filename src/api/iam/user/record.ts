import { clone } from "@bufbuild/protobuf";
import { type User, UserSchema } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api } from "../../core/context.ts";
import { users } from "./collection.ts";

const KEYS_MAX = 64;
const KEYS_BYTES_MAX = 64 << 10;

/** @throws N0Error `not_found`. */
export async function getUser(api: Api, ref: Ref): Promise<User> {
  const stored = await api.records.find(users, ref);
  if (stored === undefined) throw notFound("user", ref.name);
  return stored.value;
}

export function changed(user: User, change: (copy: User) => void): User {
  const copy = clone(UserSchema, user);
  change(copy);
  return copy;
}

/** @throws N0Error `failed_precondition` if a user would have more keys than allowed. */
export function throwIfTooManyKeys(ref: Ref, { sshPublicKeys }: User): void {
  const entries = Object.entries(sshPublicKeys);
  const bytes = entries.reduce((sum, [key, text]) => sum + key.length + Buffer.byteLength(text), 0);
  if (entries.length <= KEYS_MAX && bytes <= KEYS_BYTES_MAX) return;
  throw new N0Error(
    "failed_precondition",
    `user "${ref.name}" would have ${entries.length} SSH public keys of ${bytes} bytes, and can have ${KEYS_MAX} of ${KEYS_BYTES_MAX} bytes together: delete one first`,
    { resource: formatRef(ref) },
  );
}
