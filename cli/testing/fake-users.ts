import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import type { User } from "../../src/gen/n0stack/iam/v0/user_pb.ts";
import { User_UserState, UserSchema, UserService } from "../../src/gen/n0stack/iam/v0/user_pb.ts";
import type { Collection } from "./collection.ts";
import { newCollection } from "./collection.ts";

export interface FakeUsers {
  readonly users: Collection<User>;
  register(router: ConnectRouter): void;
}

export function newFakeUsers(): FakeUsers {
  const users = newCollection<User>("user");
  const register = (router: ConnectRouter) =>
    router.service(UserService, {
      listUsers(request) {
        const { records, nextPageToken } = users.page(request);
        return { users: records, nextPageToken };
      },
      getUser: ({ name }) => users.get(name),
      createUser: ({ $typeName: _, ...fields }) =>
        users.create(create(UserSchema, { ...fields, state: User_UserState.AVAILABLE })),
      deleteUser({ name }) {
        users.delete(name);
        return {};
      },
      addSshPublicKey({ userName, sshPublicKeyName, sshPublicKey }) {
        const user = users.get(userName);
        const sshPublicKeys = { ...user.sshPublicKeys, [sshPublicKeyName]: sshPublicKey };
        return users.put({ ...user, sshPublicKeys });
      },
      deleteSshPublicKey({ userName, sshPublicKeyName }) {
        const user = users.get(userName);
        const { [sshPublicKeyName]: _, ...sshPublicKeys } = user.sshPublicKeys;
        return users.put({ ...user, sshPublicKeys });
      },
      async *watchUsers({ name }, { signal }) {
        for await (const change of users.watch(name, signal)) {
          if (change === undefined) yield { synced: true };
          else yield typeof change === "string" ? { deletedName: change } : { user: change };
        }
      },
    });
  return { users, register: (router) => void register(router) };
}
