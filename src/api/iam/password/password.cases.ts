import type { Examples } from "../../../../test/attack/example-parts.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { UserService } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { PasswordService } from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import { hashOf } from "../token/text.ts";

const passwordsOf = (world: World) => world.client(PasswordService);
const first = { userName: "me", newPassword: "the first password" };
const second = { userName: "me", newPassword: "the second password" };
const secretSha256 = hashOf("the secret of a session");

async function prepareUser({ users }: World): Promise<void> {
  await users.createUser({ name: "other" });
  await users.createUser({ name: "me" });
}

async function prepareSession(world: World): Promise<void> {
  await prepareUser(world);
  await passwordsOf(world).setPassword({ ...first, userName: "other" });
  await passwordsOf(world).setPassword(first);
  const password = first.newPassword;
  await passwordsOf(world).signIn({ userName: "me", password, secretSha256 });
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "SetPassword",
    about: "the first one",
    prepare: prepareUser,
    call: (world) => passwordsOf(world).setPassword(first),
  },
  {
    rpc: "SetPassword",
    about: "with a session",
    prepare: prepareSession,
    call: (world) => passwordsOf(world).setPassword(second),
  },
  {
    rpc: "RemovePassword",
    prepare: prepareSession,
    call: (world) => passwordsOf(world).removePassword({ userName: "me" }),
  },
  {
    rpc: "DeleteUser",
    about: "with a password and a session",
    prepare: prepareSession,
    call: ({ users }) => users.deleteUser({ name: "me" }),
  },
];

const password = requestsTo(PasswordService);
const user = requestsTo(UserService);

export const scenarios = turned([
  [
    password("SetPassword", first),
    password("RemovePassword", { userName: "me" }),
    user("CreateUser", { name: "me" }),
    user("DeleteUser", { name: "me" }),
  ],
]);

export const examples: Examples = {
  SetPassword: { userName: "a", newPassword: "a good password", oldPassword: "an old one" },
  SignIn: {
    userName: "a",
    password: "a good password",
    secretSha256: secretSha256.toString("base64"),
  },
};
