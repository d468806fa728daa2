import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { SSH_KEY } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { UserService } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { DomainSchema } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { ProjectSchema } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingSchema } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { type Caller, NOBODY } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { domains } from "../domain/collection.ts";
import { projects } from "../project/collection.ts";
import { roleBindings } from "../role-binding/collection.ts";

const system = (kind: string, name: string) => ({ kind, scope: "", name });

/** The projects a and b of the domain `default`, and c of the domain `corp`. */
async function prepare({ opened }: World): Promise<void> {
  const project = (name: string, domain: string) =>
    put(projects, [system("project", name)], create(ProjectSchema, { name, domain }));
  const corp = put(domains, [system("domain", "corp")], create(DomainSchema, { name: "corp" }));
  await opened.api.datastore.batch(
    merge(corp, project("a", "default"), project("b", "default"), project("c", "corp")),
  );
}

async function bind({ opened }: World, member: string, role: string, scope: string): Promise<void> {
  const name = `${member}-${role}`.replace("/", "-");
  const binding = create(RoleBindingSchema, { name, member, role, scope });
  const ref = { kind: "role_binding", scope: scope.split("/")[1] ?? "", name };
  await opened.api.datastore.batch(put(roleBindings, [ref], binding));
}

function clientsFor({ opened }: World, caller: Caller) {
  const interceptors = serverInterceptors(silentLog);
  const transport = localTransport(opened.routes, { interceptors, caller });
  return {
    networks: createClient(NetworkService, transport),
    nodes: createClient(NodeService, transport),
    users: createClient(UserService, transport),
  };
}

const alice: Caller = { principal: "user/alice", groups: ["group/ops"] };
const inProject = (name: string) => ({ headers: { "n0-project": name } });
const network = { name: "lan", ipv4Cidr: "10.0.0.0/24" };

async function expectRefused(call: Promise<unknown>, code: string, text: string): Promise<void> {
  const refusal = await refused(call);
  expect(refusal.code).toBe(code);
  expect(refusal.message).toContain(text);
}

describe("what one may do", () => {
  test("an owner works in the own project; another one does not exist", async () => {
    await using world = await newWorld({ inMemory: true });
    await prepare(world);
    await bind(world, "user/alice", "owner", "project/a");
    const { networks } = clientsFor(world, alice);
    await networks.applyNetwork(network, inProject("a"));
    expect((await networks.listNetworks({}, inProject("a"))).networks).toHaveLength(1);
    for (const other of ["b", "c", "default", "nowhere"]) {
      await expectRefused(
        networks.listNetworks({}, inProject(other)),
        "NotFound",
        `project "${other}" does not exist`,
      );
    }
    expect((await world.networks.listNetworks({})).networks).toHaveLength(0);
  });

  test("a viewer sees and does not change, and learns what is missing", async () => {
    await using world = await newWorld({ inMemory: true });
    await prepare(world);
    await bind(world, "group/ops", "viewer", "domain/default");
    const { networks } = clientsFor(world, { ...alice, project: "b" });
    expect((await networks.listNetworks({})).networks).toHaveLength(0);
    await expectRefused(
      networks.applyNetwork(network),
      "PermissionDenied",
      'user/alice lacks the permission network.apply in project "b"',
    );
    await expectRefused(networks.listNetworks({}, inProject("c")), "NotFound", 'project "c"');
  });

  test("the credential narrows what its principal may", async () => {
    await using world = await newWorld({ inMemory: true });
    await prepare(world);
    await bind(world, "user/alice", "admin", "system");
    const wide = clientsFor(world, alice);
    await wide.nodes.listNodes({});
    const narrow = clientsFor(world, { ...alice, limit: { project: "a", roles: ["viewer"] } });
    expect((await narrow.networks.listNetworks({})).networks).toHaveLength(0);
    await expectRefused(narrow.networks.applyNetwork(network), "PermissionDenied", "network.apply");
    await expectRefused(
      narrow.networks.listNetworks({}, inProject("b")),
      "NotFound",
      'project "b"',
    );
    await expectRefused(narrow.nodes.listNodes({}), "PermissionDenied", "node.list in the system");
  });

  test("an agent speaks for its own node only", async () => {
    await using world = await newWorld({ inMemory: true, nodeCount: 2 });
    const { nodes, networks } = clientsFor(world, { principal: "node/node-1", groups: [] });
    await nodes.heartbeatNode({ name: "node-1" });
    await expectRefused(
      nodes.heartbeatNode({ name: "node-2" }),
      "PermissionDenied",
      "node.heartbeat",
    );
    await expectRefused(nodes.listNodes({}), "PermissionDenied", "node.list");
    await expectRefused(networks.listNetworks({}), "NotFound", 'project "default"');
  });

  test("a user may see himself and change his own keys", async () => {
    await using world = await newWorld({ inMemory: true });
    await world.users.createUser({ name: "alice" });
    await world.users.createUser({ name: "bob" });
    const { users } = clientsFor(world, alice);
    expect((await users.getUser({ name: "alice" })).name).toBe("alice");
    await users.addSshPublicKey({
      userName: "alice",
      sshPublicKeyName: "k",
      sshPublicKey: SSH_KEY,
    });
    await expectRefused(users.getUser({ name: "bob" }), "NotFound", 'domain "default"');
    await expectRefused(
      users.deleteSshPublicKey({ userName: "bob", sshPublicKeyName: "k" }),
      "NotFound",
      'domain "default"',
    );
    const narrowed = clientsFor(world, { ...alice, limit: { roles: ["viewer"] } });
    await expectRefused(narrowed.users.getUser({ name: "alice" }), "NotFound", "domain");
  });

  test("nobody may do anything", async () => {
    await using world = await newWorld({ inMemory: true });
    await expectRefused(
      clientsFor(world, NOBODY).nodes.listNodes({}),
      "Unauthenticated",
      "needs a token",
    );
  });

  test("a change of a binding takes effect for the next request", async () => {
    await using world = await newWorld({ inMemory: true });
    await prepare(world);
    const { networks } = clientsFor(world, { ...alice, project: "a" });
    await expectRefused(networks.listNetworks({}), "NotFound", 'project "a"');
    await bind(world, "user/alice", "member", "project/a");
    await networks.listNetworks({});
    await expectRefused(
      networks.listNetworks({}, inProject("a/b")),
      "InvalidArgument",
      "n0-project",
    );
  });
});
