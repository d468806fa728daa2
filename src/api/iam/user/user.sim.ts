import { SSH_KEY } from "../../../../test/scenario.ts";
import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { users } from "./collection.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  CreateUser: call(
    1,
    (view) => ({ name: view.choose([], namesOf("user")) }),
    (c, request, options) => c.users.createUser(request, options),
  ),
  DeleteUser: call(
    0.7,
    (view) => ({ name: view.object(users, namesOf("user")) }),
    (c, request, options) => c.users.deleteUser(request, options),
  ),
  AddSshPublicKey: call(
    1.5,
    (view) => ({
      userName: view.object(users, namesOf("user")),
      sshPublicKeyName: view.dice.pick(["k", "l"]),
      sshPublicKey: SSH_KEY,
    }),
    (c, request, options) => c.users.addSshPublicKey(request, options),
  ),
  DeleteSshPublicKey: call(
    0.7,
    (view) => {
      const userName = view.object(users, namesOf("user"));
      const names = Object.keys(view.get(users, userName)?.sshPublicKeys ?? {});
      return { userName, sshPublicKeyName: view.choose(names, ["k"]) };
    },
    (c, request, options) => c.users.deleteSshPublicKey(request, options),
  ),
};
