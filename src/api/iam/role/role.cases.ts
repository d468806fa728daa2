import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { RoleService } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";

const rolesOf = (world: World) => world.client(RoleService);
const permissions = ["image.*", "virtual_machine.get"];

async function prepareRole(world: World): Promise<void> {
  await rolesOf(world).createRole({ name: "clerk", permissions: ["*.get"] });
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateRole",
    prepare: prepareRole,
    call: (world) => rolesOf(world).createRole({ name: "new", permissions }),
  },
  {
    rpc: "UpdateRole",
    prepare: prepareRole,
    call: (world) => rolesOf(world).updateRole({ name: "clerk", permissions }),
  },
  {
    rpc: "DeleteRole",
    prepare: prepareRole,
    call: (world) => rolesOf(world).deleteRole({ name: "clerk" }),
  },
];

const role = requestsTo(RoleService);
const clerk = { name: "clerk", permissions };

export const scenarios = [
  ...turned([[role("CreateRole", clerk), role("DeleteRole", { name: "clerk" })]]),
  {
    name: "UpdateRole",
    prepare: [role("CreateRole", clerk)],
    call: role("UpdateRole", { ...clerk, description: "new" }),
    revert: [role("UpdateRole", clerk)],
    cleanUp: [role("DeleteRole", { name: "clerk" })],
  },
];

export const examples: Examples = {
  CreateRole: { name: "a", permissions: ["image.get"] },
  UpdateRole: { name: "a", permissions: ["image.get"] },
};

export const removeAll: RemoveAll = async (clients, remove) => {
  const roles = clients.client(RoleService);
  for (const { name, builtIn } of (await roles.listRoles({})).roles) {
    if (!builtIn) await remove(`role ${name}`, roles.deleteRole({ name }));
  }
};
