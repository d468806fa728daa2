import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { SSH_KEY } from "../../../../test/scenario.ts";
import type { World } from "../../../../test/world.ts";
import { UserService } from "../../../gen/n0stack/iam/v0/user_pb.ts";

async function prepareUser({ users }: World): Promise<void> {
  await users.createUser({ name: "other" });
  await users.createUser({ name: "me" });
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateUser",
    prepare: prepareUser,
    call: ({ users }) => users.createUser({ name: "new" }),
  },
  {
    rpc: "DeleteUser",
    prepare: prepareUser,
    call: ({ users }) => users.deleteUser({ name: "me" }),
  },
  {
    rpc: "AddSshPublicKey",
    prepare: prepareUser,
    call: ({ users }) =>
      users.addSshPublicKey({ userName: "me", sshPublicKeyName: "k", sshPublicKey: SSH_KEY }),
  },
  {
    rpc: "DeleteSshPublicKey",
    prepare: async (world) => {
      await prepareUser(world);
      const key = { userName: "me", sshPublicKeyName: "k", sshPublicKey: SSH_KEY };
      await world.users.addSshPublicKey(key);
    },
    call: ({ users }) => users.deleteSshPublicKey({ userName: "me", sshPublicKeyName: "k" }),
  },
];

const user = requestsTo(UserService);

export const scenarios = turned(
  [
    [user("CreateUser", { name: "me" }), user("DeleteUser", { name: "me" })],
    [
      user("AddSshPublicKey", { userName: "me", sshPublicKeyName: "k", sshPublicKey: SSH_KEY }),
      user("DeleteSshPublicKey", { userName: "me", sshPublicKeyName: "k" }),
      user("CreateUser", { name: "me" }),
      user("DeleteUser", { name: "me" }),
    ],
  ],
  { thorough: "CreateUser" },
);

export const examples: Examples = {
  CreateUser: { name: "a" },
  AddSshPublicKey: { userName: "a", sshPublicKeyName: "a", sshPublicKey: SSH_KEY },
  DeleteSshPublicKey: { userName: "a", sshPublicKeyName: "a" },
};

export const removeAll: RemoveAll = async ({ users }, remove) => {
  for (const { name } of (await users.listUsers({})).users) {
    await remove(`user ${name}`, users.deleteUser({ name }));
  }
};
