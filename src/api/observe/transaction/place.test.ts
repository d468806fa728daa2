import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { clientsOf } from "../../../../test/clients.ts";
import { reader } from "../../../../test/collect.ts";
import { newFakeClock } from "../../../../test/fake-clock.ts";
import { inProject } from "../../../../test/projects.ts";
import { networkRef, userRef, vmRef } from "../../../../test/refs.ts";
import { refused } from "../../../../test/refused.ts";
import { SSH_KEY, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { objectKey } from "../../../datastore/key.ts";
import { AuditService } from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingSchema } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { nodeRef } from "../../../util/ref.ts";
import { roleBindings } from "../../iam/role-binding/collection.ts";
import { placeOfTransaction } from "./place.ts";

const vm = objectKey(vmRef("web"));
const image = "image/acme/debian";
const bindingIn = (scope: string) => objectKey({ kind: "role_binding", scope, name: "b" });

test.each([
  [[vm], undefined, { kind: "project", name: "default" }],
  [[vm, image], undefined, { kind: "system" }],
  [[vm, image], "acme", { kind: "project", name: "acme" }],
  [[vm, image], "other", { kind: "system" }],
  [[vm, objectKey(nodeRef("n1"))], "default", { kind: "system" }],
  [[vm, objectKey(userRef("ann"))], "acme", { kind: "project", name: "default" }],
  [[objectKey(userRef("ann"))], "default", { kind: "domain", name: "default" }],
  [[objectKey(networkRef("net"))], "acme", { kind: "project", name: "default" }],
  [[bindingIn("")], "default", { kind: "system" }],
  [[bindingIn("domain:corp")], "default", { kind: "domain", name: "corp" }],
  [[bindingIn("acme")], "default", { kind: "project", name: "acme" }],
  [[], "default", { kind: "system" }],
] as const)("a transaction of %j, asked for in %s, is of %j", (guards, project, place) => {
  const asker = project === undefined ? {} : { project };
  expect(placeOfTransaction({ guards, asker })).toEqual(place);
});

/** Clients of a member of a project. */
async function memberOf({ opened, seen }: World, project: string, role = "member") {
  const principal = `user/${project}-${role}`;
  const name = `${project}-${role}`;
  const scope = `project/${project}`;
  const binding = create(RoleBindingSchema, { name, member: principal, role, scope });
  const ref = { kind: roleBindings.kind, scope: project, name };
  await opened.api.datastore.batch(put(roleBindings, [ref], binding));
  await seen();
  const caller: Caller = { principal, groups: [], project };
  const interceptors = serverInterceptors(silentLog);
  return clientsOf(localTransport(opened.routes, { interceptors, caller }));
}

const network = { name: "lan", ipv4Cidr: "10.0.0.0/24" };
const rpcsIn = async ({ transactions }: Pick<World, "transactions">, scope = "") =>
  (await transactions.listTransactions({ scope })).transactions.map(
    ({ rpc, asker }) => `${rpc} in ${asker?.project} by ${asker?.principal}`,
  );

test("a list shows the transactions of the project, and all of them only where one may see all", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await inProject(world, "acme");
  const ann = await memberOf(world, "acme");
  await ann.networks.applyNetwork(network);
  await world.images.applyImage({ name: "debian" });
  await world.users.createUser({ name: "ann" });
  const applied = "ApplyNetwork in acme by user/acme-member";
  const image = "ApplyImage in default by administrator";
  const user = "CreateUser in default by administrator";
  expect(await rpcsIn(ann)).toEqual([applied]);
  expect(await rpcsIn(ann, "project/acme")).toEqual([applied]);
  expect(await rpcsIn(world)).toEqual([user, image]);
  expect(await rpcsIn(world, "project/acme")).toEqual([user, applied]);
  expect(await rpcsIn(world, "domain/default")).toEqual([user, image, applied]);
  expect(await rpcsIn(world, "system")).toEqual([user, image, applied]);
  for (const [scope, code] of [
    ["system", "PermissionDenied"],
    ["domain/default", "PermissionDenied"],
    ["project/default", "NotFound"],
    ["all", "InvalidArgument"],
  ] as const) {
    expect((await refused(ann.transactions.listTransactions({ scope }))).code, scope).toBe(code);
  }
});

test("the page token of one project's transactions is refused in another's", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  await acme.images.applyImage({ name: "a" });
  await acme.images.applyImage({ name: "b" });
  const { nextPageToken: pageToken } = await acme.transactions.listTransactions({ pageSize: 1 });
  expect((await acme.transactions.listTransactions({ pageToken })).transactions).toHaveLength(1);
  expect(await refused(world.transactions.listTransactions({ pageToken }))).toMatchObject({
    code: "InvalidArgument",
    field: "page_token",
  });
});

test("another project's transaction does not exist, whatever is asked of it", async () => {
  await using world = await newWorld();
  await inProject(world, "acme");
  const [ann, bob] = [await memberOf(world, "acme"), await memberOf(world, "default")];
  const eve = await memberOf(world, "acme", "viewer");
  const gate = Promise.withResolvers<void>();
  world.faults = async ({ point, kind }) => {
    if (point === "before_commit" && kind === "CreateVirtualMachine") await gate.promise;
  };
  const watched = reader(ann.transactions.watchTransactions({}));
  await watched.find(({ synced }) => synced);
  const elsewhere = reader(bob.transactions.watchTransactions({}));
  await elsewhere.find(({ synced }) => synced);
  const making = ann.virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics: [] });
  const ended = refused(making);
  const { transaction } = await watched.find((change) => change.transaction !== undefined);
  const id = transaction!.id;
  const missing = { code: "NotFound", message: `transaction "${id}" does not exist` };
  for (const ask of [
    () => bob.transactions.getTransaction({ id }),
    () => bob.transactions.cancelTransaction({ id }),
    () => bob.transactions.retryTransaction({ id }),
    () => reader(bob.transactions.watchTransactions({ id })).next(),
  ]) {
    expect(await refused(ask())).toMatchObject(missing);
  }
  // She may see it, but not stop it.
  expect((await eve.transactions.getTransaction({ id })).transaction?.rpc).toBe(
    "CreateVirtualMachine",
  );
  expect((await refused(eve.transactions.cancelTransaction({ id }))).code).toBe("PermissionDenied");
  const cancelled = ann.transactions.cancelTransaction({ id });
  gate.resolve();
  expect((await cancelled).transaction?.cancellation?.asker?.principal).toBe("user/acme-member");
  expect((await ended).rollback).toBe("done");
  // The first that bob's watch sends is his own.
  await bob.images.applyImage({ name: "debian" });
  expect((await elsewhere.next()).transaction?.rpc).toBe("ApplyImage");
});

test("a UUID that another project has is taken, by nobody", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  const uuid = "018bcfe5-6800-7000-8000-000000000001";
  const request = { ...webRequest("web", []), nics: [], uuid };
  await acme.virtualMachines.createVirtualMachine(request);
  const other = { ...request, name: "other" };
  const elsewhere = await refused(world.virtualMachines.createVirtualMachine(other));
  expect(elsewhere).toMatchObject({ code: "AlreadyExists", field: "uuid" });
  expect(elsewhere.message).not.toMatch(/web|acme/);
  expect((await refused(acme.virtualMachines.createVirtualMachine(other))).message).toContain(
    '"web"',
  );
});

test("a project does not show what happened in an earlier one of the same name", async () => {
  const clock = newFakeClock();
  await using world = await newWorld({ nodeCount: 0, clock });
  const projects = createClient(ProjectService, world.transport);
  const audit = createClient(AuditService, world.transport);
  const create = async () => {
    await clock.advance(1_000);
    await projects.createProject({ name: "acme" });
    await world.seen();
    await clock.advance(1_000);
    return await memberOf(world, "acme");
  };
  const earlier = await create();
  await earlier.networks.applyNetwork(network);
  await clock.advance(1);
  await earlier.networks.deleteNetwork({ name: "lan" });
  const [{ id = "" } = {}] = (await earlier.transactions.listTransactions({})).transactions;
  await projects.deleteProject({ name: "acme" });
  await world.seen();

  const later = await create();
  await later.images.applyImage({ name: "debian" });
  const applied = "ApplyImage in acme by user/acme-member";
  expect(await rpcsIn(later)).toEqual([applied]);
  // The administrator also sees those that belong to no project.
  expect((await rpcsIn(world, "project/acme")).filter((text) => !text.includes("Project"))).toEqual(
    [applied],
  );
  expect(await refused(later.transactions.getTransaction({ id }))).toMatchObject({
    code: "NotFound",
    message: `transaction "${id}" does not exist`,
  });
  expect((await rpcsIn(world, "system")).filter((text) => text.includes("Network"))).toHaveLength(
    2,
  );
  expect((await world.transactions.getTransaction({ id })).transaction?.rpc).toBe("DeleteNetwork");
  const { events } = await audit.listAuditEvents({ scope: "project/acme" });
  expect(events.map(({ rpc }) => rpc).filter((rpc) => !rpc.endsWith("Project"))).toEqual([
    "ApplyImage",
  ]);
});

test("a user does not see what an earlier one of the same name did", async () => {
  const clock = newFakeClock();
  await using world = await newWorld({ nodeCount: 0, clock });
  await inProject(world, "acme");
  const name = "acme-member";
  const key = { userName: name, sshPublicKeyName: "k", sshPublicKey: SSH_KEY };
  const create = async () => {
    await clock.advance(1_000);
    await world.users.createUser({ name });
    return await memberOf(world, "acme");
  };
  const earlier = await create();
  await earlier.users.addSshPublicKey(key);
  const added = "AddSshPublicKey in acme by user/acme-member";
  expect(await rpcsIn(earlier)).toEqual([added]);
  const [{ id = "" } = {}] = (await earlier.transactions.listTransactions({})).transactions;
  await world.users.deleteUser({ name });

  const later = await create();
  expect(await rpcsIn(later)).toEqual([]);
  expect((await refused(later.transactions.getTransaction({ id }))).code).toBe("NotFound");
  await later.users.addSshPublicKey(key);
  expect(await rpcsIn(later)).toEqual([added]);
});
