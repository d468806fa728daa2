import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { collect } from "../../../../test/collect.ts";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { QuotaService } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";
import {
  ProjectService,
  Project_State as State,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";

const LAN = { name: "lan", ipv4Cidr: "10.0.0.0/24" };
const open = (nodeCount = 0) => newWorld({ nodeCount, inMemory: true });
const projectsIn = (world: World) => world.client(ProjectService);
const within = (world: World, project: string) => withHeaders(world, { [PROJECT_HEADER]: project });

function projectsAs({ opened }: World, principal: string) {
  const caller: Caller = { principal, groups: [] };
  const interceptors = serverInterceptors(silentLog);
  return createClient(ProjectService, localTransport(opened.routes, { interceptors, caller }));
}

test("a project is made, found, listed and deleted", async () => {
  await using world = await open();
  const before = await world.residue();
  const { project } = await projectsIn(world).createProject({ name: "acme", description: "us" });
  const about = { name: "acme", description: "us", domain: "default", state: State.AVAILABLE };
  expect(project).toMatchObject(about);
  expect((await projectsIn(world).getProject({ name: "acme" })).project).toEqual(project);
  const { projects } = await projectsIn(world).listProjects({});
  expect(projects.map(({ name }) => name)).toEqual(["acme", "default"]);
  expect(await refused(projectsIn(world).createProject({ name: "acme" }))).toMatchObject({
    code: "AlreadyExists",
  });
  await projectsIn(world).deleteProject({ name: "acme" });
  expect(await world.residue()).toEqual(before);
  expect((await refused(projectsIn(world).getProject({ name: "acme" }))).code).toBe("NotFound");
});

test.for(["a.b", "a/b", "..", "", "a~b", "a%2f"])(
  "%j is not the name of a project",
  async (name) => {
    await using world = await open();
    expect(await refused(projectsIn(world).createProject({ name }))).toMatchObject({
      code: "InvalidArgument",
      field: "name",
    });
  },
);

test("the quota of a project goes with it", async () => {
  await using world = await open();
  const before = await world.residue();
  await projectsIn(world).createProject({ name: "acme" });
  const acme = within(world, "acme");
  await acme.client(QuotaService).setQuota({ limits: { networks: 1n } });
  await acme.networks.applyNetwork(LAN);
  await acme.networks.deleteNetwork({ name: "lan" });
  await projectsIn(world).deleteProject({ name: "acme" });
  expect(await world.residue()).toEqual(before);
});

test("a project that holds anything, and the default one, are not deleted", async () => {
  await using world = await open();
  await projectsIn(world).createProject({ name: "acme" });
  const acme = within(world, "acme");
  await acme.networks.applyNetwork(LAN);
  for (const name of ["a", "b", "c", "d"]) await acme.images.applyImage({ name });
  const before = await world.residue();
  expect(await refused(projectsIn(world).deleteProject({ name: "acme" }))).toMatchObject({
    code: "FailedPrecondition",
    message:
      'project "acme" holds 1 network ("lan"), 4 images ("a", "b", "c", …): delete them first, or set with_objects to delete all of it',
  });
  expect(await refused(projectsIn(world).deleteProject({ name: "default" }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining("cannot be deleted"),
  });
  expect(await world.residue()).toEqual(before);
});

test("an object that is made while its project is deleted is never left without it", async () => {
  await using world = await open();
  const before = await world.residue();
  await projectsIn(world).createProject({ name: "acme" });
  const acme = within(world, "acme");
  // The delete closes the project after the network was planned, and before it is written.
  world.faults = async ({ point, kind }) => {
    if (point !== "before_commit" || kind !== "ApplyNetwork") return;
    world.faults = () => {};
    await projectsIn(world).deleteProject({ name: "acme" });
  };
  expect((await refused(acme.networks.applyNetwork(LAN))).code).toBe("Aborted");
  expect((await refused(acme.networks.applyNetwork(LAN))).code).toBe("NotFound");
  expect(await world.residue()).toEqual(before);
  await projectsIn(world).createProject({ name: "acme" });

  // The network is written after the delete has found nothing, and before the project closes.
  world.faults = async ({ point, kind, step }) => {
    if (point !== "before_journal" || kind !== "DeleteProject" || step === undefined) return;
    world.faults = () => {};
    await acme.networks.applyNetwork(LAN);
  };
  expect(await refused(projectsIn(world).deleteProject({ name: "acme" }))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining('1 network ("lan")'),
  });
  const { project } = await projectsIn(world).getProject({ name: "acme" });
  expect(project).toMatchObject({ state: State.AVAILABLE, transactionId: "" });

  // A closed project takes nothing new.
  await acme.networks.deleteNetwork({ name: "lan" });
  world.faults = async ({ point, kind }) => {
    if (point !== "before_commit" || kind !== "DeleteProject") return;
    world.faults = () => {};
    expect(await refused(acme.networks.applyNetwork(LAN))).toMatchObject({
      code: "Aborted",
      message: expect.stringContaining('deletes project "acme"'),
    });
  };
  await projectsIn(world).deleteProject({ name: "acme" });
});

test("one sees the projects in which one has a role, and no others", async () => {
  await using world = await open();
  await world.users.createUser({ name: "ann" });
  for (const name of ["acme", "other"]) await projectsIn(world).createProject({ name });
  const binding = { name: "ann", role: "owner", member: "user/ann", scope: "project/acme" };
  const bindings = world.client(RoleBindingService);
  await bindings.createRoleBinding(binding);
  const ann = projectsAs(world, "user/ann");
  const names = async () => (await ann.listProjects({})).projects.map(({ name }) => name);
  expect(await names()).toEqual(["acme"]);
  expect((await refused(ann.getProject({ name: "other" }))).code).toBe("NotFound");
  for (const name of ["other", "acme"]) {
    expect((await refused(ann.deleteProject({ name }))).code).toBe("PermissionDenied");
  }
  expect((await refused(ann.createProject({ name: "mine" }))).code).toBe("PermissionDenied");

  const stop = new AbortController();
  const seen: string[] = [];
  const stream = ann.watchProjects({}, { signal: stop.signal });
  const reading = collect(
    (async function* () {
      for await (const { project, deletedName, synced } of stream) {
        seen.push(project?.name ?? (synced ? "synced" : `-${deletedName}`));
        if (synced) {
          await projectsIn(world).createProject({ name: "hidden" });
          await projectsIn(world).deleteProject({ name: "hidden" });
          await projectsIn(world).deleteProject({ name: "acme" });
        }
        if (deletedName !== "") stop.abort();
        yield deletedName;
      }
    })(),
  );
  await reading.catch((reason: unknown) => {
    if (!stop.signal.aborted) throw reason;
  });
  expect(seen[0]).toBe("acme");
  expect(seen.slice(1).filter((text) => text !== "acme")).toEqual(["synced", "-acme"]);
  expect(await names()).toEqual([]);
  expect((await bindings.listRoleBindings({ scope: "system" })).roleBindings).toEqual([]);
});
