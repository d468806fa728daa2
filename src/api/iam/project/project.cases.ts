import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";

const projectsOf = (world: World) => world.client(ProjectService);

async function prepareProjects(world: World): Promise<void> {
  await projectsOf(world).createProject({ name: "other" });
  await projectsOf(world).createProject({ name: "acme", labels: { a: "b" } });
  await world.users.createUser({ name: "me" });
  const binding = { name: "mine", role: "owner", member: "user/me" };
  for (const scope of ["project/acme", "project/other"]) {
    await world.client(RoleBindingService).createRoleBinding({ ...binding, scope });
  }
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateProject",
    prepare: prepareProjects,
    call: (world) => projectsOf(world).createProject({ name: "new", domain: "default" }),
  },
  {
    rpc: "DeleteProject",
    prepare: prepareProjects,
    call: (world) => projectsOf(world).deleteProject({ name: "acme" }),
  },
];

const project = requestsTo(ProjectService);

export const scenarios = turned([
  [
    project("CreateProject", { name: "acme", domain: "default" }),
    project("DeleteProject", { name: "acme" }),
  ],
]);

export const examples: Examples = {
  CreateProject: { name: "a", domain: "default" },
  DeleteProject: { name: "a", domain: "default", withObjects: true },
  // It always exists, and everybody knows that.
  PreviewDeleteProject: { name: "default", domain: "default" },
};

export const removeAll: RemoveAll = async (clients, remove) => {
  const projects = clients.client(ProjectService);
  for (const { name, domain } of (await projects.listProjects({})).projects) {
    if (name !== "default")
      await remove(`project ${name}`, projects.deleteProject({ name, domain }));
  }
};
