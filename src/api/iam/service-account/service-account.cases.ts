import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { ServiceAccountService } from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";

const accountsOf = (world: World) => world.client(ServiceAccountService);

async function prepareAccounts(world: World): Promise<void> {
  for (const name of ["ci", "other"]) {
    await accountsOf(world).createServiceAccount({ name });
    const member = `service_account/${name}`;
    await world.client(RoleBindingService).createRoleBinding({ name, role: "viewer", member });
  }
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateServiceAccount",
    prepare: prepareAccounts,
    call: (world) => accountsOf(world).createServiceAccount({ name: "new" }),
  },
  {
    rpc: "DeleteServiceAccount",
    prepare: prepareAccounts,
    call: (world) => accountsOf(world).deleteServiceAccount({ name: "ci" }),
  },
];

const account = requestsTo(ServiceAccountService);

export const scenarios = turned([
  [
    account("CreateServiceAccount", { name: "ci" }),
    account("DeleteServiceAccount", { name: "ci" }),
  ],
]);

export const removeAll: RemoveAll = async (clients, remove) => {
  const accounts = clients.client(ServiceAccountService);
  for (const { name } of (await accounts.listServiceAccounts({})).serviceAccounts) {
    await remove(`service account ${name}`, accounts.deleteServiceAccount({ name }));
  }
};
