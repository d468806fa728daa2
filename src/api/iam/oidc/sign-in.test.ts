import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FakeClock, newFakeClock } from "../../../../test/fake-clock.ts";
import { refused } from "../../../../test/refused.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { UserService } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { IdentityService } from "../../../gen/n0stack/iam/v1alpha1/identity_pb.ts";
import { NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import type { Caller } from "../../../rpc/caller.ts";
import { serverInterceptors } from "../../../rpc/interceptors.ts";
import { listen } from "../../../rpc/listen.ts";
import { localTransport } from "../../../rpc/local-transport.ts";
import { silentLog } from "../../../util/log.ts";
import { systemRandom } from "../../../util/random.ts";
import type { OpenedApi } from "../../api.ts";
import { openApi } from "../../api.ts";
import { type FakeIssuer, openFakeIssuer } from "./fake-issuer.ts";
import { parseRoleRule } from "./role-rule.ts";

let clock: FakeClock;
let issuer: FakeIssuer;
let datastore: ReturnType<typeof memoryDatastore>;
let opened: OpenedApi;

beforeEach(async () => {
  clock = newFakeClock();
  issuer = await openFakeIssuer(clock.nowMs);
  datastore = memoryDatastore();
  opened = await open();
});
afterEach(async () => {
  await opened[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

async function open(): Promise<OpenedApi> {
  return await openApi({
    datastore,
    agentTransport: () => {
      throw new Error("no agent is called");
    },
    links: { consoleUrl: async () => "", downloadUrl: async () => "" },
    nameservers: [],
    openTransactionsMax: 100,
    oidcProviders: [issuer.provider],
    oidcRoleRules: [parseRoleRule("ops-*=operator@system")!],
    clock,
    random: systemRandom,
    log: silentLog,
  });
}

async function callerOf(claims: Readonly<Record<string, unknown>>): Promise<Caller> {
  const caller = await opened.authenticate(await issuer.sign(claims));
  if (caller === undefined) throw new Error("nobody");
  return caller;
}

function users() {
  const interceptors = serverInterceptors(silentLog);
  return createClient(UserService, localTransport(opened.routes, { interceptors }));
}

describe("who signs in at the provider", () => {
  test("is the user of that name, with his groups; the user is made if there is none", async () => {
    const groups = ["dev", "/kernel", "x".repeat(100)];
    const caller = await callerOf({ preferred_username: "ann@corp.example", groups });
    expect(caller).toMatchObject({
      principal: "user/ann_x40corp.example",
      groups: ["group/dev", "group/x_x._x2fkernel"],
    });
    const { users: made } = await users().listUsers({});
    expect(made.map(({ name }) => name)).toEqual(["ann_x40corp.example"]);
  });

  test("keeps the keys of a user who existed before", async () => {
    await users().createUser({ name: "alice", labels: { a: "b" } });
    expect((await callerOf({})).principal).toBe("user/alice");
    expect((await users().getUser({ name: "alice" })).labels).toEqual({ a: "b" });
  });

  test("stays that user under another name, and also after a restart", async () => {
    await callerOf({});
    await opened[Symbol.asyncDispose]();
    opened = await open();
    expect((await callerOf({ preferred_username: "root" })).principal).toBe("user/alice");
    expect((await users().listUsers({})).users).toHaveLength(1);
  });

  test("is refused under the name of another person, until that user is deleted", async () => {
    await callerOf({});
    const second = { sub: "2" };
    await expect(callerOf(second)).rejects.toMatchObject({
      kind: "unauthenticated",
      message: expect.stringContaining("user/alice is another person at http://127.0.0.1"),
    });
    await users().deleteUser({ name: "alice" });
    expect((await callerOf(second)).principal).toBe("user/alice");
    await expect(callerOf({})).rejects.toMatchObject({ kind: "unauthenticated" });
  });

  test("does so once, however many requests come at the same time", async () => {
    const tokens = await Promise.all([60, 61, 62].map((exp) => issuer.sign({ exp: now() + exp })));
    const callers = await Promise.all(
      tokens.map(async (token) => await opened.authenticate(token)),
    );
    expect(new Set(callers.map((caller) => caller?.principal))).toEqual(new Set(["user/alice"]));
    const others = ["3", "4"].map((sub) => callerOf({ sub, preferred_username: "bob" }));
    const results = await Promise.allSettled(others);
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });

  test("is nobody new if the records cannot be written, and can try again", async () => {
    const { batch } = datastore;
    let failures = 0;
    datastore.batch = async (writes) => {
      const isSignIn = writes.puts?.some(({ key }) => key.startsWith("person/")) === true;
      if (isSignIn && failures === 0) {
        failures += 1;
        throw new Error("the disk is full");
      }
      return await batch.call(datastore, writes);
    };
    await expect(callerOf({})).rejects.toThrow();
    expect(failures).toBe(1);
    expect((await users().listUsers({})).users).toEqual([]);
    expect((await callerOf({})).principal).toBe("user/alice");
  });

  test("loses streams when the token expires", async () => {
    const { ended } = await callerOf({ exp: now() + 60 });
    await clock.advance(119_000);
    expect(ended?.aborted).toBe(false);
    await clock.advance(1_000);
    expect(ended?.aborted).toBe(true);
  });

  test("needs a name that fits", async () => {
    await expect(callerOf({ preferred_username: "@".repeat(30) })).rejects.toMatchObject({
      message: expect.stringContaining("choose another claim with --oidc-user-claim"),
    });
  });
});

function now(): number {
  return Math.floor(clock.nowMs() / 1000);
}

describe("the audit events say who signed in", () => {
  const events = () => opened.api.auditEvents.pending().map(({ event }) => event);

  test("from where and until when, once for each token", async () => {
    const token = await issuer.sign({ exp: now() + 60 });
    for (let i = 0; i < 3; i += 1) await opened.authenticate(token, "192.0.2.7");
    const signIn = {
      kind: "sign_in",
      asker: { principal: "user/alice", peer: "192.0.2.7" },
      place: "domain/default",
      credential: "oidc",
    };
    expect(events()).toMatchObject([{ ...signIn, count: 1, expiresMs: (now() + 120) * 1000 }]);
    await opened.authenticate(await issuer.sign({ exp: now() + 90 }), "192.0.2.7");
    expect(events()).toMatchObject([{ ...signIn, count: 2, expiresMs: (now() + 150) * 1000 }]);
  });

  test("and who is not the user as whom he signs in", async () => {
    await callerOf({});
    await expect(callerOf({ sub: "2" })).rejects.toThrow("is another person");
    expect(events().at(-1)).toMatchObject({
      kind: "refusal",
      asker: { principal: "nobody" },
      place: "domain/default",
      resource: "user/alice",
      reason: "another person",
    });
  });
});

test("over a socket: a stranger learns where to sign in, and a rule gives a group its role", async () => {
  const { routes, authenticate, onRefused } = opened;
  const address = { host: "127.0.0.1", port: 0, token: "the administrator's token" };
  const listener = await listen({
    ...{ ...address, routes, authenticate, onRefused },
    log: silentLog,
  });
  const clientsWith = (token?: string) => {
    const transport = createConnectTransport({
      baseUrl: listener.url,
      httpVersion: "1.1",
      interceptors: [
        (next) => (request) => {
          if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
          return next(request);
        },
      ],
    });
    return {
      identity: createClient(IdentityService, transport),
      nodes: createClient(NodeService, transport),
    };
  };
  try {
    expect((await clientsWith().identity.getSignInMethods({})).oidc).toMatchObject([
      { domain: "default", issuer: issuer.issuer, clientId: "n0cli" },
    ]);
    const operator = clientsWith(await issuer.sign({ groups: ["ops-night"] }));
    expect((await operator.nodes.listNodes({})).nodes).toEqual([]);
    const other = clientsWith(await issuer.sign({ groups: ["dev"] }));
    expect(await refused(other.nodes.listNodes({}))).toMatchObject({ code: "PermissionDenied" });
    const stranger = clientsWith(await issuer.sign({ exp: now() - 120 }));
    expect(await refused(stranger.nodes.listNodes({}))).toMatchObject({
      code: "Unauthenticated",
      message: expect.stringContaining("has expired: sign in again with n0cli login"),
    });
    expect(await refused(clientsWith("a.b.c").nodes.listNodes({}))).toMatchObject({
      code: "Unauthenticated",
    });
    const noted = opened.api.auditEvents.pending().map(({ event }) => event);
    const noPermission = { reason: "no permission", permission: "node.list" };
    expect(noted).toMatchObject([
      { kind: "sign_in", asker: { principal: "user/alice", peer: "127.0.0.1" }, count: 1 },
      { asker: { principal: "user/alice", peer: "127.0.0.1" }, ...noPermission, count: 1 },
      { asker: { principal: "nobody", peer: "127.0.0.1" }, reason: "wrong token", count: 2 },
    ]);
    await issuer.stop();
    await clock.advance(3_600_000);
    const late = clientsWith("x".repeat(40));
    expect(await refused(late.nodes.listNodes({}))).toMatchObject({ code: "Unauthenticated" });
    const cut = clientsWith(await issuer.sign({ groups: ["ops-night"] }));
    expect(await refused(cut.nodes.listNodes({}))).toMatchObject({ code: "Unavailable" });
  } finally {
    await listener.stop(0);
  }
});
