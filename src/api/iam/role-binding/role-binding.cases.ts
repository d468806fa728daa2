import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { UserService } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";

const bindingsOf = (world: World) => world.client(RoleBindingService);
const binding = { name: "mine", role: "member", member: "user/me" };

async function prepareBinding(world: World): Promise<void> {
  await world.users.createUser({ name: "me" });
  await bindingsOf(world).createRoleBinding(binding);
  await bindingsOf(world).createRoleBinding({ ...binding, scope: "system" });
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateRoleBinding",
    prepare: prepareBinding,
    call: (world) => bindingsOf(world).createRoleBinding({ ...binding, name: "new" }),
  },
  {
    rpc: "CreateRoleBinding",
    about: "in the system",
    prepare: prepareBinding,
    call: (world) =>
      bindingsOf(world).createRoleBinding({ ...binding, name: "new", scope: "system" }),
  },
  {
    rpc: "DeleteRoleBinding",
    prepare: prepareBinding,
    call: (world) => bindingsOf(world).deleteRoleBinding({ name: "mine" }),
  },
  {
    rpc: "DeleteUser",
    about: "with role bindings",
    prepare: prepareBinding,
    call: ({ users }) => users.deleteUser({ name: "me" }),
  },
];

const user = requestsTo(UserService);
const roleBinding = requestsTo(RoleBindingService);

export const scenarios = turned([
  [
    roleBinding("CreateRoleBinding", binding),
    roleBinding("DeleteRoleBinding", { name: "mine" }),
    user("CreateUser", { name: "me" }),
    user("DeleteUser", { name: "me" }),
  ],
]);

export const examples: Examples = {
  CreateRoleBinding: { name: "a", role: "viewer", member: "group/a" },
};

export const removeAll: RemoveAll = async (clients, remove) => {
  const bindings = clients.client(RoleBindingService);
  for (const scope of ["", "system", "domain/default"]) {
    for (const { name } of (await bindings.listRoleBindings({ scope })).roleBindings) {
      await remove(`role binding ${name}`, bindings.deleteRoleBinding({ name, scope }));
    }
  }
};
