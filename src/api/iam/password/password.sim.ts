import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { PasswordService } from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import { hashOf } from "../token/text.ts";
import { users } from "../user/collection.ts";

const PASSWORDS = ["the first password", "the second password"];
const HASHES = ["session one", "session two"].map(hashOf);

export const calls: Readonly<Record<string, CallKind>> = {
  SetPassword: call(
    0.3,
    (view) => ({
      userName: view.object(users, namesOf("user")),
      newPassword: view.dice.pick(PASSWORDS),
    }),
    (c, request, options) => c.client(PasswordService).setPassword(request, options),
  ),
  RemovePassword: call(
    0.2,
    (view) => ({ userName: view.object(users, namesOf("user")) }),
    (c, request, options) => c.client(PasswordService).removePassword(request, options),
  ),
  SignIn: read(
    0.4,
    (view) => ({
      userName: view.object(users, namesOf("user")),
      password: view.dice.pick(PASSWORDS),
      secretSha256: view.dice.pick(HASHES),
    }),
    (c, request, options) => c.client(PasswordService).signIn(request, options),
  ),
};
