import { clone } from "@bufbuild/protobuf";
import { type User, UserSchema } from "../../gen/n0stack/iam/v0/user_pb.ts";
import { notFound } from "../../util/errors.ts";
import { users } from "../collections.ts";
import type { Api } from "../context.ts";

/** @throws N0Error `not_found`. */
export async function getUser(api: Api, name: string): Promise<User> {
  const stored = await api.records.find(users, name);
  if (stored === undefined) throw notFound("user", name);
  return stored.value;
}

export function changed(user: User, change: (copy: User) => void): User {
  const copy = clone(UserSchema, user);
  change(copy);
  return copy;
}
