import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createRouterTransport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openApi } from "../../src/api/api.ts";
import { memoryDatastore } from "../../src/datastore/memory/memory-datastore.ts";
import { IdentityService } from "../../src/gen/n0stack/iam/v1alpha1/identity_pb.ts";
import type { Listener } from "../../src/rpc/listen.ts";
import { listen } from "../../src/rpc/listen.ts";
import type { Clock } from "../../src/util/clock.ts";
import { systemClock } from "../../src/util/clock.ts";
import { silentLog } from "../../src/util/log.ts";
import { systemRandom } from "../../src/util/random.ts";
import { until } from "../../src/util/until.ts";
import { agree, newBrowser, signIn } from "../../test/oidc/browser.ts";
import { CLIENT_ID, openRealProvider, type RealProvider } from "../../test/oidc/real-provider.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";
import { openGrpcTransport } from "../transport.ts";

let provider: RealProvider;
let api: AsyncDisposable;
let listener: Listener;
let home = "";
/** How far the clock of n0cli is ahead of that of the provider. */
let aheadMs = 0;
/** How much longer the API has run than it seems. */
let apiAheadMs = 0;

/** A device waits 5 s between two questions. */
function clockOf(stderr: () => string): Clock {
  return {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: systemClock.monotonicMs,
    sleep: (ms, signal) => {
      const isPolling = ms === 5_000 && stderr().includes("enter the code");
      return systemClock.sleep(isPolling ? 10 : ms, signal);
    },
  };
}

beforeAll(async () => {
  const groups = Array.from({ length: 10_000 }, (_, i) => `group-${i}`);
  provider = await openRealProvider({ alice: { groups: ["ops"] }, bob: {}, many: { groups } });
  const opened = await openApi({
    datastore: memoryDatastore(),
    agentTransport: () => {
      throw new Error("no agent is called");
    },
    links: { consoleUrl: async () => "", downloadUrl: async () => "" },
    nameservers: [],
    openTransactionsMax: 100,
    oidcProviders: [
      {
        domain: "default",
        issuer: provider.issuer,
        clientId: CLIENT_ID,
        audiences: [],
        groupsClaim: "groups",
      },
    ],
    oidcRoleRules: [{ group: "group/ops", role: "operator", scope: "system" }],
    clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + apiAheadMs },
    random: systemRandom,
    log: silentLog,
  });
  api = opened;
  const { routes, authenticate } = opened;
  const address = { host: "127.0.0.1", port: 0, token: "the administrator's token" };
  listener = await listen({ ...address, routes, authenticate, log: silentLog });
});
afterAll(async () => {
  await listener.stop(0);
  await api[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "n0cli-login-"));
  provider.answer = () => false;
  provider.asked.length = 0;
  aheadMs = 0;
});
afterEach(async () => {
  await rm(home, { recursive: true });
});

/** Starts n0cli. `stderr` is what it has printed so far. */
function start(...argv: string[]) {
  const t = newTestIo({ homeFolder: home });
  const io = { ...t.io, clock: clockOf(t.stderr), random: systemRandom };
  const openTransport: typeof io.openTransport = (connection) => openGrpcTransport(connection, io);
  const flags = ["--api-endpoint", listener.url, "--no-wait"];
  const exit = run([...flags, ...argv], { ...io, openTransport });
  return { exit, stderr: t.stderr, stdout: t.stdout, interrupt: t.interrupt };
}

async function finish(...argv: string[]) {
  const { exit, stderr, stdout } = start(...argv);
  return { exitCode: await exit, stderr: stderr(), stdout: stdout() };
}

/** The text that n0cli prints after these words. */
async function printed(stderr: () => string, words: string): Promise<string> {
  return await until(() => new RegExp(`${words}: (\\S+)`).exec(stderr())?.[1]);
}

async function login(name: string): Promise<string> {
  const { exit, stderr } = start("login");
  const page = await signIn(newBrowser(), await printed(stderr, "computer"), name);
  expect(page.text).toContain("You are signed in. You may close this page.");
  expect(await exit).toBe(0);
  return stderr();
}

async function storedPath(): Promise<string> {
  const folder = join(home, ".config/n0stack/sign-ins");
  const [file = "", ...more] = await readdir(folder);
  expect(more).toEqual([]);
  return join(folder, file);
}

function refreshes(): number {
  return provider.asked.filter((asked) => asked === "POST /token").length;
}

describe("login with a browser", () => {
  test("signs in, and all commands use it until logout", async () => {
    expect(await login("alice")).toContain(`signed in at ${listener.url} as alice`);
    const path = await storedPath();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await finish("get", "node")).exitCode).toBe(0);
    const out = await finish("logout");
    expect(out).toMatchObject({ exitCode: 0, stderr: `signed out of ${listener.url}\n` });
    expect(provider.asked).toContain("POST /token/revocation");
    expect(await finish("get", "node")).toMatchObject({ exitCode: 4 });
    expect((await finish("logout")).stderr).toContain("you were not signed in");
  });

  test("what one may do is decided by the API, and a configured token goes before", async () => {
    await login("bob");
    const denied = await finish("get", "node");
    expect(denied.exitCode).toBe(4);
    expect(denied.stderr).toContain("user/bob lacks the permission node.list");
    const tokenFile = join(home, "token");
    await writeFile(tokenFile, "the wrong token", { mode: 0o600 });
    const other = await finish("--token-file", tokenFile, "get", "node");
    expect(other.stderr).toContain("[Unauthenticated]");
  });

  test("takes an answer only from who knows the state, and only from that issuer", async () => {
    const { exit, stderr } = start("login");
    const url = new URL(await printed(stderr, "computer"));
    const callback = url.searchParams.get("redirect_uri") ?? "";
    const state = url.searchParams.get("state") ?? "";
    for (const query of ["", "?code=a", "?code=a&state=b"]) {
      expect((await fetch(callback + query)).status).toBe(404);
    }
    expect((await fetch(`${callback}?code=a&state=${state}&iss=https://b.example`)).status).toBe(
      400,
    );
    expect(await exit).toBe(1);
    expect(await readdir(home)).toEqual([]);
  });

  test("ends when the person refuses, and says what the provider says", async () => {
    const { exit, stderr } = start("login");
    const browser = newBrowser();
    const page = await browser.open(await printed(stderr, "computer"));
    const cancel = /href="([^"]*abort)"/.exec(page.text)?.[1] ?? "";
    expect((await browser.open(cancel)).text).toContain("You are not signed in");
    expect(await exit).toBe(1);
    expect(stderr()).toContain("access_denied");
  });

  test("refuses a token with 10,000 groups, and says what to change", async () => {
    const { exit, stderr } = start("login");
    await signIn(newBrowser(), await printed(stderr, "computer"), "many");
    expect(await exit).toBe(1);
    expect(stderr()).toContain("and the API takes 16384: let it put fewer claims into it");
  });

  test("ends at Ctrl-C", async () => {
    const { exit, stderr, interrupt } = start("login");
    await printed(stderr, "computer");
    interrupt();
    expect(await exit).toBe(130);
  });

  test("says that the provider does not answer", async () => {
    provider.answer = (_path, response) => {
      response.writeHead(500).end("rubbish");
      return true;
    };
    const { exitCode, stderr } = await finish("login");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("answers status 500 and no object of JSON");
  });
});

test("login --device shows a code, and waits until somebody has entered it", async () => {
  const { exit, stderr } = start("login", "--device");
  const page = await printed(stderr, "any computer");
  const code = await printed(stderr, "the code");
  await until(() => refreshes() > 0);
  const browser = newBrowser();
  const entered = await browser.submit(await browser.open(page), { user_code: code });
  const last = await agree(browser, entered, "alice");
  expect(last.text).toContain("You have signed in.");
  expect(await exit).toBe(0);
  expect((await finish("get", "node")).exitCode).toBe(0);
});

describe("a token that expires", () => {
  test("is refreshed silently, once for all commands of the same time", async () => {
    await login("alice");
    const before = await readFile(await storedPath(), "utf8");
    provider.asked.length = 0;
    aheadMs += 3_590_000;
    const results = await Promise.all([1, 2, 3, 4].map(() => finish("get", "node")));
    for (const { exitCode, stderr } of results) expect([exitCode, stderr]).toEqual([0, ""]);
    expect(refreshes()).toBe(1);
    expect(await readFile(await storedPath(), "utf8")).not.toBe(before);
    // A refresh token counts once, so this shows that the next one was kept.
    aheadMs += 3_590_000;
    expect((await finish("get", "node")).exitCode).toBe(0);
  });

  test("is refreshed after the process that was about to do so has died", async () => {
    await login("alice");
    const path = await storedPath();
    await writeFile(`${path}.lock`, `${hostname()} 99999999 of-a-dead-process`);
    aheadMs += 3_590_000;
    expect((await finish("get", "node")).exitCode).toBe(0);
    expect(await readdir(join(path, ".."))).toHaveLength(1);
  });

  test("is used to its end while the provider is down, and then one must wait or sign in", async () => {
    await login("alice");
    provider.answer = (_path, response) => {
      response.destroy();
      return true;
    };
    aheadMs += 3_580_000;
    expect((await finish("get", "node")).exitCode).toBe(0);
    aheadMs += 60_000;
    const late = await finish("get", "node");
    expect([late.exitCode, late.stderr]).toEqual([
      1,
      expect.stringContaining("cannot refresh your sign-in"),
    ]);
    provider.answer = (path, response) => {
      if (path !== "/token") return false;
      response.writeHead(400, { "content-type": "application/json" });
      response.end('{"error":"invalid_grant"}');
      return true;
    };
    const over = await finish("get", "node");
    expect([over.exitCode, over.stderr]).toEqual([4, expect.stringContaining("run n0cli login")]);
  });

  test("of a key that the provider has withdrawn is refused, and the next sign-in is not", async () => {
    await login("alice");
    await provider.rotate();
    apiAheadMs += 30_000;
    await login("bob");
    expect((await finish("get", "node")).stderr).toContain("user/bob lacks the permission");
    await login("alice");
    expect((await finish("get", "node")).exitCode).toBe(0);
  });
});

test("with several providers, one says which", async () => {
  const other = "https://id.example";
  const oidc = [provider.issuer, other].map((issuer, i) => ({
    domain: ["default", "corp"][i]!,
    issuer,
    clientId: CLIENT_ID,
  }));
  const transport = createRouterTransport((router) => {
    router.service(IdentityService, { getSignInMethods: () => ({ oidc }) });
  });
  const asked = async (...flags: string[]) => {
    const t = newTestIo({ homeFolder: home, transport });
    const exit = run(["login", ...flags], { ...t.io, clock: systemClock });
    if (flags.join(" ") === "--domain default")
      await printed(t.stderr, "computer").finally(t.interrupt);
    return { exitCode: await exit, stderr: t.stderr() };
  };
  const both = await asked();
  expect(both.exitCode).toBe(2);
  expect(both.stderr).toContain(
    `--domain: there are "default" (${provider.issuer}), "corp" (${other})`,
  );
  expect((await asked("--domain", "nowhere")).exitCode).toBe(2);
  expect((await asked("--issuer", other, "--domain", "default")).exitCode).toBe(2);
  expect((await asked("--domain", "default")).exitCode).toBe(130);
  expect(await readdir(home)).toEqual([]);
});

test("an API without a provider says so", async () => {
  const routes = (router: Parameters<Parameters<typeof listen>[0]["routes"]>[0]) => router;
  const bare = await listen({ host: "127.0.0.1", port: 0, routes, log: silentLog });
  const t = newTestIo({ homeFolder: home });
  const io = { ...t.io, openTransport: openGrpcTransport };
  expect(await run(["--api-endpoint", bare.url, "login"], io)).toBe(1);
  expect(t.stderr()).toContain("older than this client");
  await bare.stop(0);
});
