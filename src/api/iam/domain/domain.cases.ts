import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { DomainService } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";

const domainsOf = (world: World) => world.client(DomainService);

async function prepareDomains(world: World): Promise<void> {
  await domainsOf(world).createDomain({ name: "other" });
  await domainsOf(world).createDomain({ name: "corp" });
  const bindings = world.client(RoleBindingService);
  const binding = { name: "ops", role: "viewer", member: "group/corp/ops" };
  for (const scope of ["system", "domain/corp", "project/default"]) {
    await bindings.createRoleBinding({ ...binding, scope });
  }
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateDomain",
    prepare: prepareDomains,
    call: (world) => domainsOf(world).createDomain({ name: "new" }),
  },
  {
    rpc: "DeleteDomain",
    prepare: prepareDomains,
    call: (world) => domainsOf(world).deleteDomain({ name: "corp" }),
  },
];

const domain = requestsTo(DomainService);

export const scenarios = turned([
  [domain("CreateDomain", { name: "corp" }), domain("DeleteDomain", { name: "corp" })],
]);

export const removeAll: RemoveAll = async (clients, remove) => {
  const domains = clients.client(DomainService);
  for (const { name } of (await domains.listDomains({})).domains) {
    if (name !== "default") await remove(`domain ${name}`, domains.deleteDomain({ name }));
  }
};
