import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { newFakeClock } from "../../../../test/fake-clock.ts";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { DomainService } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { IdentityService } from "../../../gen/n0stack/iam/v1alpha1/identity_pb.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { RoleService } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { ServiceAccountService } from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";

const open = () => newWorld({ nodeCount: 0, inMemory: true });

function clientsAs({ opened }: World, caller: Partial<Caller>) {
  const interceptors = serverInterceptors(silentLog);
  const full: Caller = { principal: "user/ann", groups: [], ...caller };
  const transport = localTransport(opened.routes, { interceptors, caller: full });
  return {
    bindings: createClient(RoleBindingService, transport),
    identity: createClient(IdentityService, transport),
    roles: createClient(RoleService, transport),
  };
}

test("a role binding gives a role at its place, once", async () => {
  await using world = await open();
  const before = await world.residue();
  await world.users.createUser({ name: "ann" });
  const bindings = world.client(RoleBindingService);
  for (const scope of ["system", "domain/default", "project/default"]) {
    const one = { name: "ann", role: "viewer", member: "user/ann", scope };
    const { roleBinding } = await bindings.createRoleBinding(one);
    expect(roleBinding).toMatchObject(one);
    expect((await bindings.getRoleBinding({ name: "ann", scope })).roleBinding).toEqual(
      roleBinding,
    );
    const { roleBindings } = await bindings.listRoleBindings({ scope });
    expect(roleBindings).toEqual([roleBinding]);
    expect((await refused(bindings.createRoleBinding(one))).code).toBe("AlreadyExists");
  }
  await world.users.deleteUser({ name: "ann" });
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["member", { member: "user/gone" }, "FailedPrecondition"],
  ["member", { member: "group/gone/ops" }, "FailedPrecondition"],
  ["member", { member: "service_account/acme/ci" }, "FailedPrecondition"],
  ["member", { member: "node/n1" }, "InvalidArgument"],
  ["member", { member: "user/a/b/c" }, "InvalidArgument"],
  ["member", { member: "group/../ops" }, "InvalidArgument"],
  ["member", { member: "ann" }, "InvalidArgument"],
  ["role", { role: "gone" }, "FailedPrecondition"],
  ["scope", { scope: "default" }, "InvalidArgument"],
] as const)("a wrong %s is refused: %j", async ([field, change, code]) => {
  await using world = await open();
  const before = await world.residue();
  const binding = { name: "b", role: "viewer", member: "group/ops", ...change };
  const refusal = await refused(world.client(RoleBindingService).createRoleBinding(binding));
  expect(refusal).toMatchObject({ code, field });
  expect(await world.residue()).toEqual(before);
});

test("the default domain and project may be spelled, and are one member", async () => {
  await using world = await open();
  await world.users.createUser({ name: "ann" });
  const bindings = world.client(RoleBindingService);
  const spelled = { name: "b", role: "viewer", member: "user/default/ann" };
  const { roleBinding } = await bindings.createRoleBinding(spelled);
  expect(roleBinding?.member).toBe("user/ann");
});

test("nobody gives more than he may do there", async () => {
  await using world = await open();
  await world.users.createUser({ name: "ann" });
  await world.client(ProjectService).createProject({ name: "acme" });
  const clerk = ["role_binding.*", "image.*"];
  await world.client(RoleService).createRole({ name: "clerk", permissions: clerk });
  const all = world.client(RoleBindingService);
  const ann = { name: "ann", member: "user/ann", scope: "project/acme" };
  await all.createRoleBinding({ ...ann, role: "clerk" });
  const { bindings } = clientsAs(world, {});
  const ops = { name: "ops", member: "group/ops", scope: "project/acme" };
  for (const role of ["owner", "member", "viewer", "admin"]) {
    expect(await refused(bindings.createRoleBinding({ ...ops, role }))).toMatchObject({
      code: "PermissionDenied",
      message: expect.stringContaining("without having it there"),
    });
  }
  await bindings.createRoleBinding({ ...ops, role: "clerk" });
  const elsewhere = bindings.createRoleBinding({ ...ops, role: "clerk", scope: "project/default" });
  expect((await refused(elsewhere)).code).toBe("NotFound");
  const above = bindings.createRoleBinding({ ...ops, role: "clerk", scope: "system" });
  expect((await refused(above)).code).toBe("PermissionDenied");
});

test("a member of a domain or project that one does not see does not exist", async () => {
  await using world = await open();
  await world.client(DomainService).createDomain({ name: "corp" });
  for (const [name, domain] of [
    ["mine", "default"],
    ["other", "default"],
    ["far", "corp"],
  ] as const) {
    await world.client(ProjectService).createProject({ name, domain });
  }
  const inProject = (name: string) => withHeaders(world, { [PROJECT_HEADER]: name });
  await inProject("far").users.createUser({ name: "bob" });
  await inProject("other").client(ServiceAccountService).createServiceAccount({ name: "ci" });
  await world.users.createUser({ name: "ann" });
  const owner = { name: "ann", role: "owner", member: "user/ann", scope: "project/mine" };
  await world.client(RoleBindingService).createRoleBinding(owner);
  const { bindings } = clientsAs(world, {});
  const guess = { name: "b", role: "viewer", scope: "project/mine" };
  for (const member of ["user/corp/bob", "group/corp/ops", "service_account/other/ci"]) {
    const there = await refused(bindings.createRoleBinding({ ...guess, member }));
    const absent = member.replace(/[^/]+$/, "none");
    const gone = await refused(bindings.createRoleBinding({ ...guess, member: absent }));
    expect(there.code).toBe("FailedPrecondition");
    if (!member.startsWith("group/")) {
      expect(there.message.replace(member, "")).toBe(gone.message.replace(absent, ""));
    }
  }
  await bindings.createRoleBinding({ ...guess, member: "group/ops" });
});

test("a role binding goes with its member, and a role that is given stays", async () => {
  await using world = await open();
  const accounts = world.client(ServiceAccountService);
  const roles = world.client(RoleService);
  const bindings = world.client(RoleBindingService);
  const before = await world.residue();
  await accounts.createServiceAccount({ name: "ci" });
  await roles.createRole({ name: "clerk", permissions: ["image.*"] });
  const binding = { name: "ci", role: "clerk", member: "service_account/ci" };
  await bindings.createRoleBinding({ ...binding, scope: "system" });
  expect(await refused(roles.deleteRole({ name: "clerk" }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining('1 role binding, such as "ci" in system'),
  });
  await accounts.deleteServiceAccount({ name: "ci" });
  await roles.deleteRole({ name: "clerk" });
  expect(await world.residue()).toEqual(before);
});

test("a binding that is made while its role or its member is deleted is had by one of the two", async () => {
  // It stands still, so that a user who is made again is the same.
  await using world = await newWorld({ nodeCount: 0, inMemory: true, clock: newFakeClock() });
  await world.users.createUser({ name: "ann" });
  const roles = world.client(RoleService);
  const before = await world.residue();
  const deletes = {
    role: () => roles.deleteRole({ name: "clerk" }),
    member: () => world.users.deleteUser({ name: "ann" }),
  };
  for (const remove of [deletes.role, deletes.member]) {
    await roles.createRole({ name: "clerk", permissions: ["image.*"] });
    world.faults = async ({ point, kind }) => {
      if (point !== "before_commit" || kind !== "CreateRoleBinding") return;
      world.faults = () => {};
      await remove();
    };
    const binding = { name: "b", role: "clerk", member: "user/ann" };
    const making = world.client(RoleBindingService).createRoleBinding(binding);
    expect((await refused(making)).code).toBe("Aborted");
    if (remove === deletes.member) {
      await world.users.createUser({ name: "ann" });
      await roles.deleteRole({ name: "clerk" });
    }
    expect(await world.residue()).toEqual(before);
  }
});

test("own roles are made of permissions that there are, and built-in ones never change", async () => {
  await using world = await open();
  const roles = world.client(RoleService);
  for (const [permission, near] of [
    ["virtual_machin.get", 'did you mean "virtual_machine"'],
    ["virtual_machine.bot", 'did you mean "boot"'],
    ["image", "RESOURCE.VERB"],
    ["image.get.x", "RESOURCE.VERB"],
  ] as const) {
    const making = roles.createRole({ name: "clerk", permissions: ["image.*", permission] });
    expect(await refused(making)).toMatchObject({
      code: "InvalidArgument",
      field: "permissions[1]",
      message: expect.stringContaining(near),
    });
  }
  const { roles: all } = await roles.listRoles({});
  expect(all.map(({ name }) => name)).toEqual(["admin", "member", "operator", "owner", "viewer"]);
  expect(all.every(({ builtIn }) => builtIn)).toBe(true);
  const permissions = ["image.*"];
  for (const call of [
    () => roles.updateRole({ name: "viewer", permissions }),
    () => roles.deleteRole({ name: "viewer" }),
  ]) {
    expect((await refused(call())).code).toBe("FailedPrecondition");
  }
  expect((await refused(roles.createRole({ name: "viewer", permissions }))).code).toBe(
    "AlreadyExists",
  );
});

test("a changed role holds for the next request", async () => {
  await using world = await open();
  await world.users.createUser({ name: "ann" });
  const roles = world.client(RoleService);
  await roles.createRole({ name: "clerk", permissions: ["image.get"] });
  const binding = { name: "b", role: "clerk", member: "group/ops" };
  await world.client(RoleBindingService).createRoleBinding(binding);
  const { identity, roles: own } = clientsAs(world, { groups: ["group/ops"] });
  const question = { resource: "image", verb: "apply" };
  expect(await identity.canI(question)).toMatchObject({ allowed: false });
  await roles.updateRole({ name: "clerk", permissions: ["image.*", "role.update"] });
  const by = { role: "clerk", scope: "project/default", roleBinding: "b", member: "group/ops" };
  expect(await identity.canI(question)).toMatchObject({ allowed: true, by });
  const denied = own.updateRole({ name: "clerk", permissions: ["*.*"] });
  expect((await refused(denied)).code).toBe("PermissionDenied");

  const nowhere = { ...question, scope: "project/nowhere" };
  expect(await identity.canI(nowhere)).toMatchObject({ allowed: false });
  expect(await identity.whoAmI({})).toMatchObject({
    principal: "user/ann",
    groups: ["group/ops"],
    project: "default",
    roles: [by],
  });
  expect((await refused(identity.canI({ resource: "imag", verb: "get" }))).message).toContain(
    'did you mean "image"',
  );
});
