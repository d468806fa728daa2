import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { RoleService } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { linkRights } from "../../console/link-right.ts";
import { whileAllowed } from "./while-allowed.ts";

const alice: Caller = { principal: "user/alice", groups: [], project: "acme" };
const MINE = { scope: "project/acme", name: "mine" };

async function open(role = "viewer"): Promise<World> {
  const world = await newWorld({ nodeCount: 0, inMemory: true });
  await world.client(ProjectService).createProject({ name: "acme" });
  await world.users.createUser({ name: "alice" });
  await world.client(RoleService).createRole({ name: "looker", permissions: ["network.*"] });
  await bind(world, { ...MINE, role });
  return world;
}

async function bind(world: World, binding: { name: string; role: string; scope: string }) {
  const member = alice.principal;
  await world.client(RoleBindingService).createRoleBinding({ ...binding, member });
}

/** Watches until it has told all. @returns what ends the watch, once it is read. */
async function watch({ opened }: World): Promise<() => Promise<unknown>> {
  const interceptors = serverInterceptors(silentLog);
  const transport = localTransport(opened.routes, { interceptors, caller: alice });
  const stream = createClient(NetworkService, transport).watchNetworks({});
  const messages = stream[Symbol.asyncIterator]();
  expect((await messages.next()).value?.synced).toBe(true);
  return () => messages.next();
}

const losses: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  "a deleted role binding": (world) => world.client(RoleBindingService).deleteRoleBinding(MINE),
  "a deleted project": (world) => world.client(ProjectService).deleteProject({ name: "acme" }),
};

test.for(Object.entries(losses))("%s ends the watch that it allowed", async ([, lose]) => {
  await using world = await open();
  const next = await watch(world);
  const end = refused(next());
  await lose(world);
  expect((await end).code).toBe("NotFound");
});

test("a role that loses a permission ends the watch that it allowed, and no sooner", async () => {
  await using world = await open("looker");
  const next = await watch(world);
  const roles = world.client(RoleService);
  const permissions = ["network.watch", "network.list"];
  await roles.updateRole({ name: "looker", permissions });
  const first = next();
  await world.networks.applyNetwork(
    { name: "lan", ipv4Cidr: "10.0.0.0/24" },
    { headers: { "n0-project": "acme" } },
  );
  expect(await first).toMatchObject({ value: { network: { name: "lan" } } });
  const end = refused(next());
  await roles.updateRole({
    name: "looker",
    permissions: ["network.list"],
  });
  expect((await end).code).toBe("PermissionDenied");
});

test("a watch goes on while another role allows it", async () => {
  await using world = await open();
  await bind(world, { name: "also", role: "member", scope: "domain/default" });
  const next = await watch(world);
  const message = next();
  await world.client(RoleBindingService).deleteRoleBinding(MINE);
  const headers = { "n0-project": "acme" };
  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.0.0.0/24" }, { headers });
  expect(await message).toMatchObject({ value: { network: { name: "lan" } } });
  const end = refused(next());
  const also = { scope: "domain/default", name: "also" };
  await world.client(RoleBindingService).deleteRoleBinding(also);
  expect((await end).code).toBe("NotFound");
});

test("the right to an open console ends with the role, and a right that is disposed of hears nothing", async () => {
  await using world = await open("member");
  const rights = linkRights(world.opened.api);
  const link = { asker: "", id: "", caller: alice, expiresAtMs: 0 };
  const web = { kind: "virtual_machine", scope: "acme", name: "web" };
  const left = rights.consoleRight(link, web)!;
  left[Symbol.dispose]();
  using right = rights.consoleRight(link, web)!;
  expect(right.ended.aborted).toBe(false);
  await world.client(RoleBindingService).deleteRoleBinding(MINE);
  await world.seen();
  expect(right.ended.aborted).toBe(true);
  expect(left.ended.aborted).toBe(false);
  expect(rights.consoleRight(link, web)).toBeUndefined();
});

test("all changes of a batch are looked at together", async () => {
  await using world = await open();
  const { grants, datastore } = world.opened.api;
  let checks = 0;
  using _ = whileAllowed(grants, () => {
    checks += 1;
  });
  const entries = await datastore.list("role_binding/");
  await datastore.batch({ puts: [...entries, ...(await datastore.list("role/"))] });
  await world.seen();
  expect(checks).toBe(1);
});
