import { UserSchema, UserService } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import { people, subjects } from "../oidc/person.ts";
import { passwords } from "../password/collection.ts";
import { users } from "./collection.ts";
import { addSshPublicKey, createUser, deleteSshPublicKey, deleteUser } from "./write.ts";

export const user = defineResource({
  word: "user",
  service: UserService,
  schema: UserSchema,
  collection: users,
  records: [people, subjects, passwords],
  givesRoom: ["deleteUser", "deleteSshPublicKey"],
  routes: (api) => ({
    createUser: (request, call) => createUser(api, call, request),
    deleteUser: async ({ name }, call) => {
      await deleteUser(api, call, name);
      return {};
    },
    addSshPublicKey: (request, call) => addSshPublicKey(api, call, request),
    deleteSshPublicKey: (request, call) => deleteSshPublicKey(api, call, request),
  }),
});
