import type { Request } from "../../../../test/crash/remote.ts";
import { BASE, DISKS, machine, requestsTo, WEB } from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { prepareDisk, prepareImage, SSH_KEY, webRequest } from "../../../../test/scenario.ts";
import { type World, withHeaders } from "../../../../test/world.ts";
import { QuotaService } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { ServiceAccountService } from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";
import { TokenService } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";
import { hashOf } from "../token/text.ts";

const inAcme = (world: World) => withHeaders(world, { [PROJECT_HEADER]: "acme" });

/** Things of the same names in the project `default`, which stay. */
async function prepareOther(world: World): Promise<void> {
  await prepareDisk(world);
  await prepareImage(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  await world.networks.setNetworkVisibility({ name: "net", visibility: Visibility.PUBLIC });
  await world.client(ServiceAccountService).createServiceAccount({ name: "ci" });
}

/** One of everything: also an overlay on a base in an image, and a nic in a network of another project. */
export async function prepareFull(world: World): Promise<void> {
  await prepareOther(world);
  await world.client(ProjectService).createProject({ name: "acme" });
  const acme = inAcme(world);
  await acme.client(QuotaService).setQuota({ limits: { virtual_machines: 5n } });
  await prepareDisk(acme);
  await prepareImage(acme);
  const { images, blockStorages, networks, virtualMachines } = acme;
  const size = { requestBytes: 1n << 30n, limitBytes: 1n << 30n };
  const overlay = { blockStorageName: "clone", ...size };
  await images.generateBlockStorage({ imageName: "debian", tag: "12", ...overlay });
  await blockStorages.createBlockStorage({ name: "old", ...size });
  await blockStorages.deleteBlockStorage({ name: "old" });
  await networks.reserveNetworkInterface({ networkName: "net", networkInterfaceName: "spare" });
  await virtualMachines.createVirtualMachine({
    ...webRequest("web", ["root", "clone"]),
    nics: [
      { networkName: "net" },
      { networkName: "default/net", hardwareAddress: "52:54:00:00:00:01" },
    ],
    sshAuthorizedKeys: [SSH_KEY],
  });
  await prepareAccount(acme, world);
}

/** A service account with a token, and with a role in two projects. */
async function prepareAccount(acme: World, world: World): Promise<void> {
  await acme.client(ServiceAccountService).createServiceAccount({ name: "ci" });
  const member = "service_account/acme/ci";
  const secretSha256 = hashOf("a secret");
  await acme.client(TokenService).createToken({ secretSha256, principal: member });
  for (const one of [acme, world]) {
    const binding = { name: "ci", role: "viewer", member };
    await one.client(RoleBindingService).createRoleBinding(binding);
  }
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "DeleteProject",
    about: "with its objects",
    isOfProjects: true,
    prepare: prepareFull,
    call: (world) =>
      world.client(ProjectService).deleteProject({ name: "acme", withObjects: true }),
  },
];

const project = requestsTo(ProjectService);
const DELETED = project("DeleteProject", { name: "acme", withObjects: true });
/** One of everything, with a virtual machine that runs. */
const FULL: readonly Request[] = [
  project("CreateProject", { name: "acme" }),
  ...[...BASE, ...DISKS, machine("CreateVirtualMachine", WEB)].map(
    ([method, body]): Request => [method, body, "acme"],
  ),
];

export const scenarios: readonly Scenario[] = [
  {
    name: "DeleteProject: with its objects",
    prepare: FULL,
    call: DELETED,
    revert: FULL,
    cleanUp: [DELETED],
  },
];
