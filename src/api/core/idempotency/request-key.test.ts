import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { RoleBindingSchema } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { roleBindings } from "../../iam/role-binding/collection.ts";
import { keptRequests } from "./kept-request.ts";

const IDEMPOTENCY_KEY = { "idempotency-key": "one" };
const network = { name: "lan", ipv4Cidr: "10.0.0.0/24" };

async function networksAs({ opened, seen }: World, principal: string) {
  const name = principal.replace("/", "-");
  const scope = "project/default";
  const binding = create(RoleBindingSchema, { name, member: principal, role: "member", scope });
  const ref = { kind: roleBindings.kind, scope: "default", name };
  await opened.api.datastore.batch(put(roleBindings, [ref], binding));
  await seen();
  const caller: Caller = { principal, groups: [] };
  const interceptors = serverInterceptors(silentLog);
  return createClient(NetworkService, localTransport(opened.routes, { interceptors, caller }));
}

const keptKeys = async ({ opened }: World) =>
  (await opened.api.datastore.list(keptRequests.prefix)).map(({ key }) => key);

test("the same key in another project is another request", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await inProject(world, "acme");
  const own = withHeaders(world, IDEMPOTENCY_KEY);
  const acme = withHeaders(world, { ...IDEMPOTENCY_KEY, "n0-project": "acme" });
  const made = await own.networks.applyNetwork(network);
  const other = await acme.networks.applyNetwork({ ...network, ipv4Cidr: "10.1.0.0/24" });
  expect([made.project, other.project]).toEqual(["default", "acme"]);
  expect(await own.networks.applyNetwork(network)).toEqual(made);
  expect(await keptKeys(world)).toEqual([
    // As an older version wrote it.
    "idempotency/NetworkService.ApplyNetwork/one",
    "idempotency/NetworkService.ApplyNetwork/one/acme/administrator",
  ]);
});

test("the same key of another principal is another request, and gets no answer of the first", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const ann = await networksAs(world, "user/ann");
  const bob = await networksAs(world, "user/bob");
  const headers = IDEMPOTENCY_KEY;
  const request = { ...network, labels: { secret: "of ann" } };
  await ann.applyNetwork(request, { headers });
  await world.networks.deleteNetwork({ name: "lan" });
  // The answer to ann is replayed to her alone.
  const repeated = await ann.applyNetwork(request, { headers });
  expect(repeated.labels).toEqual(request.labels);
  expect(await refused(world.networks.getNetwork({ name: "lan" }))).toMatchObject({
    code: "NotFound",
  });
  const made = await bob.applyNetwork(network, { headers });
  expect(made.labels).toEqual({});
  expect((await world.networks.getNetwork({ name: "lan" })).labels).toEqual({});
  expect((await keptKeys(world)).length).toBe(2);
});
