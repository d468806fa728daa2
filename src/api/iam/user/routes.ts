import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  ListUsersResponseSchema,
  type User,
  type UserService,
} from "../../../gen/n0stack/iam/v0/user_pb.ts";
import type { Api } from "../../core/context.ts";
import { listPage } from "../../core/read/list.ts";
import { watchObjects } from "../../core/read/watch.ts";
import { users } from "./collection.ts";
import { getUser } from "./user-record.ts";
import { addSshPublicKey, createUser, deleteSshPublicKey, deleteUser } from "./write.ts";

export function userRoutes(api: Api): ServiceImpl<typeof UserService> {
  return {
    async listUsers(request) {
      const { objects, nextPageToken } = await listPage(api.records, users, request);
      return create(ListUsersResponseSchema, { users: objects, nextPageToken });
    },
    getUser: ({ name }) => getUser(api, name),
    createUser: (request, call) => createUser(api, call, request),
    deleteUser: async ({ name }, call) => {
      await deleteUser(api, call, name);
      return {};
    },
    addSshPublicKey: (request, call) => addSshPublicKey(api, call, request),
    deleteSshPublicKey: (request, call) => deleteSshPublicKey(api, call, request),
    async *watchUsers({ name }, { signal }) {
      const seen = async (object: User) => object;
      for await (const change of watchObjects(api, users, name, seen, signal)) {
        if (change.kind === "put") yield { user: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}
