import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { newShiftingClock } from "../../../../test/shifting-clock.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { PasswordService } from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import { RoleBindingService } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { TokenService } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { systemRandom } from "../../../util/random.ts";
import { hashOf, idOf } from "../token/text.ts";
import { COST, deriveByArgon2, hashPassword, isCheap } from "./argon2.ts";
import { passwords } from "./collection.ts";

const PASSWORD = "a good password";
const ANN = { userName: "ann", password: PASSWORD };
const annsRef = { kind: "user", scope: "default", name: "ann" };

function clientsAs({ opened }: World, caller: Caller) {
  const interceptors = serverInterceptors(silentLog);
  const transport = localTransport(opened.routes, { interceptors, caller });
  return {
    passwords: createClient(PasswordService, transport),
    tokens: createClient(TokenService, transport),
  };
}

async function prepare(world: World): Promise<void> {
  await world.users.createUser({ name: "ann" });
  await world.client(PasswordService).setPassword({ userName: "ann", newPassword: PASSWORD });
}

/** What a client sends as its token after a sign-in. */
async function signIn(world: World, who = ANN): Promise<string> {
  const secret = systemRandom.token(32);
  const secretSha256 = hashOf(secret);
  await world.client(PasswordService).signIn({ ...who, secretSha256 });
  return `n0_${idOf(secretSha256)}_${secret}`;
}

const tries = (world: World, password: string, userName = "ann") =>
  refused(signIn(world, { userName, password }));

async function callerOf({ opened }: World, text: string): Promise<Caller> {
  return (await opened.authenticate(text))!;
}

const everything = async ({ opened }: World) =>
  (await opened.api.datastore.list(""))
    .map(({ key, value }) => `${key} ${Buffer.from(value).toString("latin1")}`)
    .join("\n");

test("a user signs in with his password, and nothing has it", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const before = await world.residue();
  await prepare(world);
  const headers = { "idempotency-key": "one" };
  const set = { userName: "ann", newPassword: "a better password" };
  await world.client(PasswordService).setPassword(set, { headers });
  const text = await signIn(world, { userName: "ann", password: "a better password" });
  const caller = await callerOf(world, text);
  expect(caller).toMatchObject({ principal: "user/ann", groups: [] });
  expect(caller.limit).toBeUndefined();
  const { tokens } = await clientsAs(world, caller).tokens.listTokens({});
  expect(tokens).toMatchObject([{ isSession: true, principal: "user/ann", roles: [] }]);
  const [{ createdAt, expiresAt, secretSha256 }] = tokens as [(typeof tokens)[number]];
  expect(timestampMs(expiresAt!) - timestampMs(createdAt!)).toBe(12 * 3_600_000);
  expect(secretSha256).toHaveLength(0);
  await tries(world, "a bad password");
  const { auditEvents } = world.opened.api;
  expect(auditEvents.pending().map(({ event }) => event)).toMatchObject([
    { kind: "sign_in", credential: "password", asker: { principal: "user/ann" } },
    { kind: "refusal", reason: "wrong password", resource: "user/ann" },
  ]);
  await auditEvents.flush();
  const written = await everything(world);
  expect(written).toContain("$argon2id$v=19$m=19456,t=2,p=1$");
  for (const secret of [PASSWORD, "a better password", text.slice(-43)]) {
    expect(written).not.toContain(secret);
    expect(written).not.toContain(Buffer.from(secret).toString("base64"));
  }
  await world.users.deleteUser({ name: "ann" });
  expect(await world.residue()).toEqual(before);
  await world.seen();
  expect(await world.opened.authenticate(text)).toBeUndefined();
});

test("the same letters are the same password, however a keyboard writes them", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await prepare(world);
  const newPassword = "gr\u00fcne Wiese";
  await world.client(PasswordService).setPassword({ userName: "ann", newPassword });
  await signIn(world, { userName: "ann", password: "gru\u0308ne Wiese" });
});

test("a sign-in that is sent again opens the same session, and nobody takes another's token", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await prepare(world);
  const secretSha256 = hashOf("a secret");
  const again = { ...ANN, secretSha256 };
  const { token: one } = await world.client(PasswordService).signIn(again);
  const { token: two } = await world.client(PasswordService).signIn(again);
  expect(two?.name).toBe(one?.name);
  expect((await world.client(TokenService).listTokens({})).tokens).toHaveLength(1);
  const others = hashOf("the administrator's");
  await world.client(TokenService).createToken({ secretSha256: others });
  const taking = world.client(PasswordService).signIn({ ...ANN, secretSha256: others });
  expect(await refused(taking)).toMatchObject({ code: "AlreadyExists" });
});

test("a hash that costs less than today's is made anew at the next sign-in", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await prepare(world);
  const { datastore, records } = world.opened.api;
  const cheap = await hashPassword(deriveByArgon2, PASSWORD, Buffer.alloc(16, 1), {
    ...COST,
    memory: 64,
  });
  expect(isCheap(cheap)).toBe(true);
  await datastore.batch(put(passwords, [annsRef], { hash: cheap, setAtMs: 1 }));
  const text = await signIn(world);
  const { value } = (await records.find(passwords, annsRef))!;
  expect(isCheap(value.hash)).toBe(false);
  expect(value.setAtMs).toBe(1);
  await signIn(world);
  expect(await callerOf(world, text)).toMatchObject({ principal: "user/ann" });
});

describe("the sessions of a user", () => {
  test("end with a changed or removed password, and with them their streams", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    const { datastore } = world.opened.api;
    const apiToken = { secretSha256: hashOf("an API token"), principal: "user/ann" };
    await world.client(TokenService).createToken(apiToken);
    const client = world.client(PasswordService);
    for (const change of [
      () => client.setPassword({ userName: "ann", newPassword: PASSWORD }),
      () => client.removePassword({ userName: "ann" }),
    ]) {
      const text = await signIn(world);
      const { ended } = await callerOf(world, text);
      await change();
      await world.seen();
      expect(ended?.aborted).toBe(true);
      expect(await world.opened.authenticate(text)).toBeUndefined();
    }
    expect(await datastore.list("token/")).toHaveLength(1);
    expect(await datastore.list("password/")).toEqual([]);
    const again = client.removePassword({ userName: "ann" });
    expect(await refused(again)).toMatchObject({ code: "NotFound", resource: "user/ann" });
  });

  test("are twenty, of which the oldest ends, and do not count as tokens", async () => {
    const clock = newShiftingClock();
    await using world = await newWorld({ nodeCount: 0, inMemory: true, clock });
    await prepare(world);
    const texts: string[] = [];
    for (let i = 0; i < 22; i += 1) {
      texts.push(await signIn(world));
      clock.shiftMs(1);
    }
    const isOpen = async (text: string) => (await world.opened.authenticate(text)) !== undefined;
    const open = await Promise.all(texts.map(isOpen));
    expect(open).toEqual([false, false, ...Array.from({ length: 20 }, () => true)]);
    expect(world.opened.api.tokens.countOf("user/ann")).toBe(0);
    const { tokens } = clientsAs(world, await callerOf(world, texts.at(-1)!));
    const { token } = await tokens.createToken({ secretSha256: hashOf("made in a session") });
    expect(timestampMs(token!.expiresAt!)).toBeGreaterThan(clock.nowMs() + 24 * 3_600_000);
  });

  test("one opened while the password changes does not outlive it", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    let text = "";
    world.faults = async ({ point, kind }) => {
      if (point !== "before_commit" || kind !== "SetPassword") return;
      world.faults = () => {};
      text = await signIn(world);
    };
    const change = { userName: "ann", newPassword: "another password" };
    expect(await refused(world.client(PasswordService).setPassword(change))).toMatchObject({
      code: "Aborted",
    });
    await world.client(PasswordService).setPassword(change);
    await world.seen();
    expect(await world.opened.authenticate(text)).toBeUndefined();
    expect(await tries(world, PASSWORD)).toMatchObject({ code: "Unauthenticated" });
  });
});

describe("a user changes his own password", () => {
  test("with the old one, and keeps the session of the call", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
    const [kept, other] = [await signIn(world), await signIn(world)];
    const own = clientsAs(world, await callerOf(world, kept)).passwords;
    const change = { userName: "ann", newPassword: "another password" };
    for (const oldPassword of ["", "a bad password"]) {
      expect(await refused(own.setPassword({ ...change, oldPassword }))).toMatchObject({
        code: "InvalidArgument",
        field: "old_password",
      });
    }
    const { principal } = await callerOf(world, kept);
    const wrong = { kind: "refusal", reason: "wrong password", resource: "user/ann" };
    const events = world.opened.api.auditEvents.pending().map(({ event }) => event);
    expect(events.filter(({ kind }) => kind === "refusal")).toMatchObject([
      { ...wrong, asker: { principal } },
    ]);
    await own.setPassword({ ...change, oldPassword: PASSWORD });
    await world.seen();
    expect(await callerOf(world, kept)).toMatchObject({ principal: "user/ann" });
    expect(await world.opened.authenticate(other)).toBeUndefined();
    await signIn(world, { userName: "ann", password: "another password" });
    expect((await refused(own.removePassword({ userName: "ann" }))).code).toBe("NotFound");
  });

  test("but not the first one, and no other user's", async () => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    await world.users.createUser({ name: "ann" });
    await world.users.createUser({ name: "bob" });
    const binding = { name: "ann", role: "admin", member: "user/ann", scope: "system" };
    const ann = clientsAs(world, { principal: "user/ann", groups: [] }).passwords;
    const bobs = { userName: "bob", newPassword: PASSWORD };
    expect((await refused(ann.setPassword(bobs))).code).not.toBe("Ok");
    await world.client(RoleBindingService).createRoleBinding(binding);
    await world.seen();
    await ann.setPassword(bobs);
    const own = await refused(ann.setPassword({ userName: "ann", newPassword: PASSWORD }));
    expect(own).toMatchObject({ code: "FailedPrecondition", resource: "user/ann" });
    expect(own.message).toContain("nobody sets his own first one: ask an administrator");
  });
});

test("nobody sets the password of a user who may do more than he himself", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const bind = async (name: string, role: string, scope: string) => {
    const binding = { name: `${name}-${role}`, role, member: `user/${name}`, scope };
    await world.client(RoleBindingService).createRoleBinding(binding);
  };
  for (const name of ["boss", "above", "beside", "below"]) await world.users.createUser({ name });
  await bind("boss", "owner", "domain/default");
  await bind("above", "viewer", "system");
  await bind("below", "owner", "project/default");
  await world.seen();
  const boss = clientsAs(world, { principal: "user/boss", groups: [] }).passwords;
  const set = (userName: string) => boss.setPassword({ userName, newPassword: PASSWORD });
  await set("below");
  await set("beside");
  const refusal = await refused(set("above"));
  expect(refusal).toMatchObject({ code: "PermissionDenied", resource: "user/above" });
  expect(refusal.message).toContain("has a role that user/boss cannot give");
  const newPassword = PASSWORD;
  await world.client(PasswordService).setPassword({ userName: "above", newPassword });
  expect((await refused(set("nobody"))).code).toBe("NotFound");
});
