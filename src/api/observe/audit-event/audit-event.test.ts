import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { transactionCollection } from "../../../datastore/datastore-journal.ts";
import {
  AuditService,
  AuditEvent_Kind as Kind,
} from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { DomainService } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import {
  RoleBindingSchema,
  RoleBindingService,
} from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { RoleService } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { ServiceAccountService } from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";
import { NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { Phase } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { timePrefix } from "../../../transaction/transaction-id.ts";
import { silentLog } from "../../../util/log.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";
import { until } from "../../../util/until.ts";
import { scopeOfPlace } from "../../core/scope.ts";
import { roleBindings } from "../../iam/role-binding/collection.ts";

async function open(): Promise<World> {
  const world = await newWorld({ nodeCount: 0, inMemory: true });
  onTestFinished(() => world[Symbol.asyncDispose]());
  return world;
}

/** Clients of a principal, in a project. */
function as({ opened }: World, principal: string, project = "default") {
  const interceptors = serverInterceptors(silentLog);
  const caller = { principal, groups: [], project, tokenId: "0123456789abcdef" };
  const transport = localTransport(opened.routes, { interceptors, caller });
  return {
    events: createClient(AuditService, transport),
    networks: createClient(NetworkService, transport),
    nodes: createClient(NodeService, transport),
    bindings: createClient(RoleBindingService, transport),
  };
}

type Lister = Pick<ReturnType<typeof as>, "events">;
type Filter = Parameters<Lister["events"]["listAuditEvents"]>[0];

async function list({ events }: Lister, filter: Filter = {}) {
  return (await events.listAuditEvents(filter)).events;
}

async function refusals(lister: Lister, filter: Filter = {}) {
  const events = await list(lister, { ...filter, kinds: [Kind.REFUSAL] });
  return events.map(({ asker, permission, place, reason, resources, count }) =>
    [asker?.principal, permission, place, reason, ...resources, count].join(" "),
  );
}

async function bind(world: World, member: string, role: string, scope: string): Promise<void> {
  const name = `${member}-${role}-${scope}`.replaceAll("/", "-");
  const binding = create(RoleBindingSchema, { name, member, role, scope });
  const ref = { kind: roleBindings.kind, scope: scopeOfPlace(scope), name };
  await world.opened.api.datastore.batch(put(roleBindings, [ref], binding));
}

const START_MS = 1_700_000_000_000;
const LAN = { name: "lan", ipv4Cidr: "10.0.0.0/24" };

describe("what somebody has done", () => {
  test("is in the list with who, with which token, where, what and how it ended", async () => {
    const world = await open();
    await world.users.createUser({ name: "ann" });
    await bind(world, "user/ann", "member", "project/default");
    const ann = as(world, "user/ann");
    await ann.networks.applyNetwork(LAN);
    world.faults = ({ point }) => {
      if (point === "before_commit") throw new Error("injected");
    };
    await refused(ann.networks.deleteNetwork({ name: "lan" }));
    world.faults = () => {};
    const found = await list(as(world, "administrator"));
    expect(found.map(({ rpc }) => rpc)).toEqual(["DeleteNetwork", "ApplyNetwork", "CreateUser"]);
    const [deleted, applied] = found;
    expect(applied).toMatchObject({
      kind: Kind.CHANGE,
      asker: { principal: "user/ann", tokenId: "0123456789abcdef", project: "default" },
      place: "project/default",
      resources: ["network/lan"],
      phase: Phase.DONE,
      error: "",
      count: 1,
    });
    expect(deleted?.phase).toBe(Phase.UNDONE);
    expect(deleted?.error).not.toBe("");
    const { transactions } = await world.transactions.listTransactions({});
    expect(transactions.map(({ id }) => id)).toEqual(found.map(({ id }) => id));
  });
});

describe("who was refused", () => {
  test("is an event of the place where the permission is missing, counted, before and after it is written", async () => {
    const world = await open();
    await bind(world, "user/ann", "viewer", "project/default");
    const ann = as(world, "user/ann");
    for (let i = 0; i < 3; i += 1) await refused(ann.networks.applyNetwork(LAN));
    await refused(ann.nodes.listNodes({}));
    const root = as(world, "administrator");
    const expected = [
      "user/ann node.list system no permission 1",
      "user/ann network.apply project/default no permission 3",
    ];
    expect(await refusals(root)).toEqual(expected);
    await world.opened.api.auditEvents.flush();
    expect(await refusals(root)).toEqual(expected);
    await world.restart();
    expect(await refusals(as(world, "administrator"))).toEqual(expected);
  });

  test("is written when the process stops", async () => {
    const world = await open();
    await refused(as(world, "user/ann").nodes.listNodes({}));
    await world.restart();
    expect(await refusals(as(world, "administrator"))).toHaveLength(1);
    expect(world.opened.api.auditEvents.pending()).toEqual([]);
  });

  test("also by a stream, and by a rule within a call", async () => {
    const world = await open();
    const permissions = ["role_binding.create"];
    await world.client(RoleService).createRole({ name: "giver", permissions });
    await bind(world, "user/ann", "giver", "project/default");
    const ann = as(world, "user/ann");
    await refused(ann.nodes.watchNodes({})[Symbol.asyncIterator]().next());
    const binding = { name: "b", member: "group/ops", role: "owner", scope: "project/default" };
    await refused(ann.bindings.createRoleBinding(binding));
    expect(await refusals(as(world, "administrator"))).toEqual([
      "user/ann role_binding.create project/default no permission 1",
      "user/ann node.watch system no permission 1",
    ]);
  });

  test("of a place that does not exist for him, is no event of that place, nor shows whether it exists", async () => {
    const world = await open();
    const domain = { name: "corp" };
    await world.client(DomainService).createDomain(domain);
    await world.client(ProjectService).createProject({ name: "web", domain: "corp" });
    await inProject(world, "acme");
    await bind(world, "user/ann", "owner", "project/acme");
    await bind(world, "user/corp/bob", "owner", "domain/corp");
    for (const project of ["acme", "nowhere"]) {
      await refused(as(world, "user/corp/bob", project).networks.listNetworks({}));
    }
    expect(await refusals(as(world, "user/ann", "acme"))).toEqual([]);
    const hidden = (project: string) =>
      `user/corp/bob network.list domain/corp hidden project/${project} 1`;
    const expected = [hidden("nowhere"), hidden("acme")];
    expect(await refusals(as(world, "user/corp/bob", "web"), { scope: "domain/corp" })).toEqual(
      expected,
    );
    const [event] = await list(as(world, "administrator"), { kinds: [Kind.REFUSAL] });
    expect(event?.asker?.project).toBe("");
  });
});

describe("who may see it", () => {
  test("an owner the events of the own project or domain; a member nothing; who may see the system all", async () => {
    const world = await open();
    await world.client(DomainService).createDomain({ name: "corp" });
    await world.client(ProjectService).createProject({ name: "web", domain: "corp" });
    await inProject(world, "acme");
    await bind(world, "user/ann", "owner", "project/acme");
    await bind(world, "user/ann", "viewer", "project/web");
    await bind(world, "user/corp/bob", "owner", "domain/corp");
    await bind(world, "user/cid", "member", "project/acme");
    await bind(world, "user/op", "operator", "system");
    for (const project of ["acme", "web"]) {
      await withHeaders(world, { [PROJECT_HEADER]: project }).networks.applyNetwork(LAN);
    }
    await refused(as(world, "user/ann", "web").networks.applyNetwork(LAN));
    await refused(as(world, "user/cid", "acme").nodes.listNodes({}));

    await refused(as(world, "user/corp/dan", "acme").networks.listNetworks({}));
    const placesOf = async (lister: Lister, filter: Filter = {}) =>
      new Set((await list(lister, filter)).map(({ place }) => place));
    expect(await placesOf(as(world, "user/ann", "acme"))).toEqual(new Set(["project/acme"]));
    const bob = as(world, "user/corp/bob", "web");
    expect(await placesOf(bob)).toEqual(new Set(["project/web", "domain/corp"]));
    expect(await refusals(bob)).toEqual([
      "user/corp/dan network.list domain/corp hidden project/acme 1",
      "user/ann network.apply project/web no permission 1",
    ]);
    expect(await placesOf(bob, { scope: "domain/corp" })).toEqual(
      new Set(["project/web", "domain/corp"]),
    );
    const all = new Set(["project/acme", "project/web", "domain/corp", "system"]);
    expect(await placesOf(as(world, "user/op"), { scope: "system" })).toEqual(all);
    for (const [lister, code] of [
      [as(world, "user/cid", "acme"), "PermissionDenied"],
      [as(world, "user/ann", "web"), "PermissionDenied"],
      [as(world, "user/ann", "default"), "NotFound"],
    ] as const) {
      expect(await refused(list(lister))).toMatchObject({ code });
    }
    for (const scope of ["system", "domain/default", "project/web"]) {
      const code = scope === "domain/default" ? "NotFound" : "PermissionDenied";
      const asked = scope === "domain/default" ? bob : as(world, "user/ann", "acme");
      expect(await refused(list(asked, { scope }))).toMatchObject({ code });
    }
  });

  test("the refusals of a service account are events of its project", async () => {
    const world = await open();
    await inProject(world, "acme");
    const acme = withHeaders(world, { [PROJECT_HEADER]: "acme" });
    await acme.client(ServiceAccountService).createServiceAccount({ name: "ci" });
    await bind(world, "user/ann", "owner", "project/acme");
    await refused(as(world, "service_account/acme/ci", "web").networks.listNetworks({}));
    expect(await refusals(as(world, "user/ann", "acme"))).toEqual([
      "service_account/acme/ci network.list project/acme hidden project/web 1",
    ]);
  });
});

describe("the list", () => {
  test("has each event once, the newest first, over all pages, and only what is asked for", async () => {
    const world = await open();
    const root = as(world, "administrator");
    const since: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      since.push(Date.now());
      await world.users.createUser({ name: `u${i}` });
      await refused(as(world, `user/u${i}`).nodes.listNodes({}));
      if (i === 3) await world.opened.api.auditEvents.flush();
      const nowMs = Date.now();
      await until(() => Date.now() > nowMs);
    }
    const seen: string[] = [];
    let pages = 0;
    for (let pageToken = ""; pages === 0 || pageToken !== ""; pages += 1) {
      const page = await root.events.listAuditEvents({ pageSize: 3, pageToken });
      seen.push(...page.events.map(({ id }) => id));
      pageToken = page.nextPageToken;
    }
    expect(pages).toBe(6);
    expect(new Set(seen).size).toBe(16);
    expect(seen).toEqual(seen.toSorted().toReversed());
    const count = async (filter: Filter) => (await list(root, filter)).length;
    expect(await count({ principal: "user/u3" })).toBe(1);
    expect(await count({ principal: "user/default/u3" })).toBe(1);
    expect(await count({ principal: "administrator" })).toBe(8);
    expect(await count({ kinds: [Kind.CHANGE] })).toBe(8);
    expect(await count({ kinds: [Kind.SIGN_IN] })).toBe(0);
    expect(await count({ since: timestampFromMs(since[5]!) })).toBe(6);
    expect(await count({ until: timestampFromMs(since[2]!) })).toBe(4);
    const between = { since: timestampFromMs(since[2]!), until: timestampFromMs(since[5]!) };
    expect(await count(between)).toBe(6);
    const { nextPageToken } = await root.events.listAuditEvents({ pageSize: 1 });
    const elsewhere = { scope: "system", pageToken: nextPageToken };
    expect(await refused(list(root, elsewhere))).toMatchObject({ code: "InvalidArgument" });
  });

  test("reads a bounded part of a long history for each page, and all pages find what is rare", async () => {
    const world = await open();
    const { datastore } = world.opened.api;
    const header = (i: number) => ({
      id: `${timePrefix(START_MS + i)}-${i}`,
      kind: "CreateUser",
      guards: [],
      startedAtMs: START_MS + i,
      state: "done" as const,
      isCommitted: true,
      asker: { principal: i === 0 ? "user/rare" : "user/ann" },
    });
    const headers = Array.from({ length: 9_000 }, (_, i) => header(i));
    await datastore.batch(
      merge(...headers.map((one) => put(transactionCollection, [one.id], one))),
    );
    const root = as(world, "administrator");
    const found: number[] = [];
    let pageToken = "";
    do {
      const filter = { principal: "user/rare", scope: "system", pageToken };
      const page = await root.events.listAuditEvents(filter);
      found.push(page.events.length);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(found).toEqual([0, 0, 1]);
  });
});
