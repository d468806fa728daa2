import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { newShiftingClock } from "../../../../test/shifting-clock.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { ServiceAccountService } from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";
import { TokenService } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { systemRandom } from "../../../util/random.ts";
import { pruneTokens } from "./prune.ts";
import { hashOf, idOf } from "./text.ts";

const newSecret = () => systemRandom.token(32);
const textOf = (secret: string) => `n0_${idOf(hashOf(secret))}_${secret}`;

function clientsAs({ opened }: World, caller: Caller) {
  const interceptors = serverInterceptors(silentLog);
  const transport = localTransport(opened.routes, { interceptors, caller });
  return {
    tokens: createClient(TokenService, transport),
    networks: createClient(NetworkService, transport),
  };
}

async function callerOf({ opened }: World, text: string): Promise<Caller | undefined> {
  return await opened.authenticate(text);
}

/** A user with a role in the project `acme`. */
async function prepare(world: World): Promise<void> {
  await world.client(ProjectService).createProject({ name: "acme" });
  await world.users.createUser({ name: "ann" });
  const binding = { name: "ann", role: "owner", member: "user/ann", scope: "project/acme" };
  await world.client(RoleBindingService).createRoleBinding(binding);
}

const ann: Caller = { principal: "user/ann", groups: [] };
const inAcme = { headers: { "n0-project": "acme" } };

test("a token calls as the one who made it, says when it was used, and nothing has its secret", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await prepare(world);
  const before = await world.residue();
  const secret = newSecret();
  const { token } = await clientsAs(world, ann).tokens.createToken({
    secretSha256: hashOf(secret),
    description: "laptop",
  });
  expect(token).toMatchObject({ principal: "user/ann", description: "laptop", project: "" });
  expect(token!.secretSha256).toHaveLength(0);
  await world.seen();
  const caller = await callerOf(world, textOf(secret));
  expect(caller).toMatchObject({ principal: "user/ann", tokenId: token!.name });
  await clientsAs(world, caller!).networks.listNetworks({}, inAcme);
  const { tokens } = await clientsAs(world, ann).tokens.listTokens({});
  expect(tokens.map(({ name }) => name)).toEqual([token!.name]);
  expect(tokens[0]!.secretSha256).toHaveLength(0);
  expect(timestampMs(tokens[0]!.lastUsedAt!)).toBeGreaterThan(Date.now() - 10_000);
  const everything = await world.opened.api.datastore.list("");
  expect(everything.some(({ value }) => Buffer.from(value).includes(secret))).toBe(false);
  await clientsAs(world, ann).tokens.deleteToken({ name: token!.name });
  expect(await world.residue()).toEqual(before);
});

describe("a token that is not right", () => {
  test("is refused, and says why only to who has had it", async () => {
    const clock = newShiftingClock();
    await using world = await newWorld({ nodeCount: 0, inMemory: true, clock });
    const secret = newSecret();
    const day = { seconds: 86_400n };
    await world.client(TokenService).createToken({ secretSha256: hashOf(secret), expiresIn: day });
    await world.seen();
    expect(await callerOf(world, textOf(secret))).toMatchObject({ principal: "administrator" });
    const forged = textOf(secret).replace(secret, newSecret());
    expect(await callerOf(world, forged)).toBeUndefined();
    expect(await callerOf(world, textOf(newSecret()))).toBeUndefined();
    expect(await callerOf(world, "something")).toBeUndefined();
    expect(() => world.opened.authenticate(textOf(secret).slice(0, -1))).toThrow(
      "is damaged: an API token has 63 characters, and this one has 62",
    );
    clock.shiftMs(86_400_000);
    expect(() => world.opened.authenticate(textOf(secret))).toThrow("has expired: make a new one");
  });

  test("ends its open streams within a second when it is revoked", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    const secret = newSecret();
    const { token } = await clientsAs(world, ann).tokens.createToken({
      secretSha256: hashOf(secret),
    });
    await world.seen();
    const caller = await callerOf(world, textOf(secret));
    const watched = clientsAs(world, caller!).networks.watchNetworks({}, inAcme);
    let revokedMs = 0;
    const reading = (async () => {
      for await (const { synced } of watched) {
        if (!synced) continue;
        revokedMs = performance.now();
        await world.client(TokenService).deleteToken({ name: token!.name });
      }
    })();
    const refusal = await refused(reading);
    expect(refusal).toMatchObject({ code: "Unauthenticated" });
    expect(refusal.message).toContain("has been revoked");
    expect(performance.now() - revokedMs).toBeLessThan(1_000);
    expect(await callerOf(world, textOf(secret))).toBeUndefined();
  });
});

describe("a token is never more than its maker", () => {
  test("its limits are those of the maker's own token, or narrower", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    const limited = { ...ann, limit: { project: "acme", roles: ["viewer"] } };
    const { tokens } = clientsAs(world, limited);
    const { token } = await tokens.createToken({ secretSha256: hashOf(newSecret()) });
    expect(token).toMatchObject({ project: "acme", roles: ["viewer"] });
    const secretSha256 = hashOf(newSecret());
    expect(await refused(tokens.createToken({ secretSha256, roles: ["owner"] }))).toMatchObject({
      code: "InvalidArgument",
      message: 'roles[0]: your own token does not allow the role "owner"',
    });
    expect(await refused(tokens.createToken({ secretSha256, project: "default" }))).toMatchObject({
      code: "InvalidArgument",
      field: "project",
    });
    const secret = newSecret();
    await clientsAs(world, ann).tokens.createToken({
      secretSha256: hashOf(secret),
      roles: ["viewer"],
    });
    await world.seen();
    const viewing = clientsAs(world, (await callerOf(world, textOf(secret)))!);
    await viewing.networks.listNetworks({}, inAcme);
    const network = { name: "lan", ipv4Cidr: "10.0.0.0/24" };
    expect((await refused(viewing.networks.applyNetwork(network, inAcme))).code).toBe(
      "PermissionDenied",
    );
  });

  test("who calls with a limited one has no other of his own, and what he makes ends with it", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    const wide = await clientsAs(world, ann).tokens.createToken({
      secretSha256: hashOf(newSecret()),
    });
    const secret = newSecret();
    const { token: narrow } = await clientsAs(world, ann).tokens.createToken({
      secretSha256: hashOf(secret),
      roles: ["viewer"],
      expiresIn: { seconds: 3_600n },
    });
    await world.seen();
    const { tokens } = clientsAs(world, (await callerOf(world, textOf(secret)))!);
    const name = wide.token!.name;
    expect((await tokens.listTokens({})).tokens.map((one) => one.name)).toEqual([narrow!.name]);
    expect((await refused(tokens.deleteToken({ name }))).code).toBe("NotFound");
    const { token: made } = await tokens.createToken({ secretSha256: hashOf(newSecret()) });
    expect(made).toMatchObject({ madeWith: narrow!.name, expiresAt: narrow!.expiresAt });
    await tokens.deleteToken({ name: narrow!.name });
  });

  test("nobody has more than a hundred, also by requests at the same time", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    const { tokens } = clientsAs(world, ann);
    const create = () => tokens.createToken({ secretSha256: hashOf(newSecret()) });
    const made = await Promise.allSettled(Array.from({ length: 120 }, create));
    expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(100);
    expect(await refused(create())).toMatchObject({ code: "ResourceExhausted" });
    expect((await tokens.listTokens({})).tokens).toHaveLength(100);
  });

  test("nobody makes, sees or revokes one of somebody above him", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    await world.users.createUser({ name: "root" });
    const secretSha256 = hashOf(newSecret());
    const { token } = await world
      .client(TokenService)
      .createToken({ secretSha256, principal: "user/root" });
    const { tokens } = clientsAs(world, ann);
    const name = token!.name;
    expect((await tokens.listTokens({})).tokens).toEqual([]);
    expect((await refused(tokens.getToken({ name }))).code).toBe("NotFound");
    expect((await refused(tokens.deleteToken({ name }))).code).toBe("NotFound");
    const mine = { secretSha256: hashOf(newSecret()), principal: "user/root" };
    expect((await refused(tokens.createToken(mine))).code).toBe("PermissionDenied");
    const gone = { ...mine, principal: "service_account/elsewhere/ci" };
    expect((await refused(tokens.createToken(gone))).code).toBe("NotFound");
  });

  test("one of a service account works in its project alone, if its maker rules only there", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    const before = await world.residue();
    await world.client(ServiceAccountService).createServiceAccount({ name: "ci" }, inAcme);
    const principal = "service_account/acme/ci";
    const admin = { name: "ci", role: "admin", member: principal, scope: "system" };
    await world.client(RoleBindingService).createRoleBinding(admin);
    const secret = newSecret();
    const asked = { secretSha256: hashOf(secret), principal };
    const { token } = await clientsAs(world, ann).tokens.createToken(asked);
    expect(token).toMatchObject({ principal, project: "acme" });
    const wide = { secretSha256: hashOf(newSecret()), principal };
    expect((await world.client(TokenService).createToken(wide)).token).toMatchObject({
      project: "",
    });
    await world.client(ServiceAccountService).deleteServiceAccount({ name: "ci" }, inAcme);
    await world.seen();
    expect(await callerOf(world, textOf(secret))).toBeUndefined();
    expect(await world.residue()).toEqual(before);
  });
});

test("a use is written at most once a minute, and goes with its token", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ nodeCount: 0, inMemory: true, clock });
  const secret = newSecret();
  const { token } = await world.client(TokenService).createToken({ secretSha256: hashOf(secret) });
  await world.seen();
  await callerOf(world, textOf(secret));
  const uses = () => world.opened.api.datastore.list("token_use/");
  expect(await uses()).toEqual([]);
  await world.opened.api.tokens.writeUses();
  expect(await uses()).toHaveLength(1);
  await world.restart();
  const { tokens } = await world.client(TokenService).listTokens({});
  expect(tokens[0]!.lastUsedAt).toBeDefined();
  await world.client(TokenService).deleteToken({ name: token!.name });
  expect(await uses()).toEqual([]);
});

test("an expired one is deleted a day later, with all that belongs to it", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await prepare(world);
  const before = await world.residue();
  const expiresIn = { seconds: 60n };
  const secretSha256 = hashOf(newSecret());
  await clientsAs(world, ann).tokens.createToken({ secretSha256, expiresIn });
  const { datastore } = world.opened.api;
  await pruneTokens(datastore, Date.now());
  expect(await world.residue()).not.toEqual(before);
  await pruneTokens(datastore, Date.now() + 61_000);
  expect(await world.residue()).toEqual(before);
});
