import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { newWorld, withHeaders } from "../../../../test/world.ts";
import { DomainService } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";

test("a domain is deleted when it is empty, and the roles of its groups with it", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const domains = world.client(DomainService);
  const projects = world.client(ProjectService);
  const bindings = world.client(RoleBindingService);
  const before = await world.residue();
  await domains.createDomain({ name: "corp" });
  await projects.createProject({ name: "web", domain: "corp" });
  const corp = withHeaders(world, { [PROJECT_HEADER]: "web" });
  await corp.users.createUser({ name: "ann" });
  await bindings.createRoleBinding({ name: "b", role: "viewer", member: "group/corp/ops" });
  await bindings.createRoleBinding({
    name: "b",
    role: "owner",
    member: "user/corp/ann",
    scope: "domain/corp",
  });
  expect(await refused(domains.deleteDomain({ name: "corp" }))).toMatchObject({
    code: "FailedPrecondition",
    message: 'domain "corp" holds 1 project ("web"), 1 user ("ann"): delete them first',
  });
  await corp.users.deleteUser({ name: "ann" });
  expect((await refused(projects.deleteProject({ name: "web" }))).code).toBe("NotFound");
  await projects.deleteProject({ name: "web", domain: "corp" });
  await domains.deleteDomain({ name: "corp" });
  expect(await world.residue()).toEqual(before);
  expect((await refused(domains.deleteDomain({ name: "default" }))).code).toBe(
    "FailedPrecondition",
  );
  expect((await refused(projects.createProject({ name: "x", domain: "corp" }))).code).toBe(
    "NotFound",
  );
});

test("a project that is made while its domain is deleted is never left without it", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const domains = world.client(DomainService);
  const projects = world.client(ProjectService);
  const before = await world.residue();
  await domains.createDomain({ name: "corp" });
  world.faults = async ({ point, kind }) => {
    if (point !== "before_commit" || kind !== "CreateProject") return;
    world.faults = () => {};
    await domains.deleteDomain({ name: "corp" });
  };
  const creating = projects.createProject({ name: "web", domain: "corp" });
  expect((await refused(creating)).code).toBe("Aborted");
  expect(await world.residue()).toEqual(before);
});
