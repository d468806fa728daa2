import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FakeClock, newFakeClock } from "../../../test/fake-clock.ts";
import { openLog } from "../../util/log.ts";
import type { WebRequest } from "../../util/web-request.ts";
import type { AcmeSettings } from "./acme-settings.ts";
import { type AcmeStore, acmeStore, type StoredCertificate, timesOf } from "./acme-store.ts";
import { acmeClient } from "./client.ts";
import { type FakeAcme, newFakeAcme, problem } from "./fake-acme.ts";
import { keepAcme, storedCertificate } from "./keep-acme.ts";
import { obtainCertificate, type Presenter } from "./obtain.ts";

const DAY_MS = 24 * 3_600_000;
const LIFETIME_MS = 90 * DAY_MS;

let base: string;
let clock: FakeClock;
let fake: FakeAcme;
let store: AcmeStore;
let settings: AcmeSettings;
let shown: Map<string, string>;

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), "n0-acme-"));
  clock = newFakeClock();
  shown = new Map();
  const look = (domain: string, token: string) => shown.get(`${domain} ${token}`);
  fake = await newFakeAcme({ clock, lifetimeMs: LIFETIME_MS, look });
  store = acmeStore(base);
  settings = {
    directoryUrl: fake.directoryUrl,
    domains: ["a.example", "b.example"],
    email: "admin@a.example",
    challenge: "http-01",
    httpPort: 80,
  };
});
afterEach(() => rmSync(base, { recursive: true }));

const presenter: Presenter = {
  type: "http-01",
  async present(domain, token, answer) {
    shown.set(`${domain} ${token}`, answer);
    return { [Symbol.asyncDispose]: async () => void shown.delete(`${domain} ${token}`) };
  },
};

async function obtain(request: WebRequest = fake.request, to: AcmeStore = store) {
  const { signal } = new AbortController();
  const { directoryUrl } = settings;
  const client = acmeClient({ directoryUrl, request, clock, signal });
  return await obtainCertificate({ ...settings, client, store: to, presenter, clock, signal });
}

/** A process that dies at its n-th request or write: before it has happened, or after it. */
function dying(at: number, when: "before" | "after") {
  let count = 0;
  const moment = <T>(act: () => T): T => {
    count += 1;
    if (count === at && when === "before") throw new Error("died");
    const done = act();
    if (count === at && when === "after") {
      if (!(done instanceof Promise)) throw new Error("died");
      return done.then(() => Promise.reject(new Error("died"))) as T;
    }
    return done;
  };
  const wrap = <T>(kept: { read(): T; write(value: never): void; remove(): void }) => ({
    read: () => kept.read(),
    write: (value: never) => moment(() => kept.write(value)),
    remove: () => moment(() => kept.remove()),
  });
  return {
    count: () => count,
    request: ((url, options) => moment(() => fake.request(url, options))) satisfies WebRequest,
    store: {
      account: wrap(store.account),
      order: wrap(store.order),
      certificate: wrap(store.certificate),
    } as AcmeStore,
  };
}

test("gets a certificate for all domains, with one account that has the address", async () => {
  const made = await obtain();
  expect(made.cert).toBe(fake.certificates[0]);
  expect(store.certificate.read()).toEqual(made);
  expect(store.order.read()).toBeUndefined();
  expect([...fake.accounts.values()]).toMatchObject([{ contact: ["mailto:admin@a.example"] }]);
  expect(shown.size).toBe(0);
});

describe("a process that dies", () => {
  test.for(["before", "after"] as const)(
    "%s any request or write leaves what the next one continues: one account, no lost certificate",
    async (when) => {
      const whole = dying(0, when);
      await obtain(whole.request, whole.store);
      expect(whole.count()).toBeGreaterThan(15);
      for (let at = 1; at <= whole.count(); at += 1) {
        rmSync(join(base, "acme"), { recursive: true, force: true });
        fake.accounts.clear();
        fake.orders.length = 0;
        fake.certificates.length = 0;
        const dead = dying(at, when);
        await expect(obtain(dead.request, dead.store), `at ${at}`).rejects.toThrow("died");
        const stored = store.certificate.read();
        const made = stored ?? (await obtain());
        expect(fake.accounts.size, `accounts at ${at}`).toBe(1);
        // Only an answer that was lost costs a second order.
        expect(fake.orders.length, `orders at ${at}`).toBeLessThanOrEqual(2);
        expect(fake.certificates, `at ${at}`).toEqual([made.cert]);
        // Whatever is left of it, the renewal makes a new certificate.
        expect((await obtain()).cert).not.toBe(made.cert);
        expect(store.order.read()).toBeUndefined();
      }
    },
  );
});

test("an order that failed is not continued", async () => {
  const blind: Presenter = {
    ...presenter,
    present: async () => ({ [Symbol.asyncDispose]: async () => {} }),
  };
  const { signal } = new AbortController();
  const client = acmeClient({ ...settings, request: fake.request, clock, signal });
  const failing = obtainCertificate({
    ...settings,
    client,
    store,
    presenter: blind,
    clock,
    signal,
  });
  await expect(failing).rejects.toMatchObject({
    kind: "failed_precondition",
    message: "the ACME server refuses the http-01 challenge of a.example: unauthorized, no answer",
  });
  await obtain();
  expect(fake.orders.map(({ status }) => status)).toEqual(["invalid", "valid"]);
});

test("a server that has lost its data gets the same key again", async () => {
  await obtain();
  const { key } = store.account.read()!;
  fake.accounts.clear();
  fake.orders.length = 0;
  await obtain();
  expect(store.account.read()?.key).toBe(key);
  expect(fake.accounts.size).toBe(1);
});

test("an order of an account that is not ours any more is not continued", async () => {
  fake.refusal = (path) =>
    path.startsWith("/authorization") ? problem("serverInternal", "down", 500) : undefined;
  await expect(obtain()).rejects.toMatchObject({ kind: "unavailable" });
  fake.refusal = undefined;
  store.account.remove();
  await obtain();
  expect(fake.accounts.size).toBe(2);
  expect(fake.orders.map(({ status }) => status)).toEqual(["pending", "valid"]);
});

test("the server gets a new address", async () => {
  await obtain();
  settings = { ...settings, email: "other@a.example" };
  await obtain();
  expect([...fake.accounts.values()]).toMatchObject([{ contact: ["mailto:other@a.example"] }]);
});

test("a certificate for another key is not taken, and the next try orders another", async () => {
  fake.isConfused = true;
  await expect(obtain()).rejects.toThrow(
    "the certificate that the ACME server sent is for another key",
  );
  expect(store.certificate.read()).toBeUndefined();
  fake.isConfused = false;
  await obtain();
  expect(fake.orders).toHaveLength(2);
});

test("a nonce that the server refuses is replaced", async () => {
  let refusals = 0;
  fake.refusal = (path) =>
    path === "/new-order" && (refusals += 1) <= 3 ? problem("badNonce", "old", 400) : undefined;
  await obtain();
  expect(refusals).toBe(4);
  refusals = -1000;
  await expect(obtain()).rejects.toThrow("badNonce");
});

test.for([
  ["account.json", "{", /account\.json is damaged: delete it/],
  ["order.json", '{"key":"SECRET"}', /order\.json is damaged: delete it/],
] as const)("a damaged %s is named, without what it holds", async ([name, text, message]) => {
  await obtain();
  writeFileSync(join(base, "acme", name), text, { mode: 0o600 });
  const error = await obtain().catch((reason: unknown) => String(reason));
  expect(error).toMatch(message);
  expect(error).not.toContain("SECRET");
});

describe("keeps the certificate", () => {
  let lines: Record<string, unknown>[];
  let made: StoredCertificate[];
  let ending: AbortController;

  function keep() {
    lines = [];
    made = [];
    ending = new AbortController();
    const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
    return keepAcme({
      ...{ acme: settings, store, presenter, clock, request: fake.request },
      present: storedCertificate(settings, store, clock),
      onCertificate: (certificate) => void made.push(certificate),
      random: { uuid: () => "", token: () => "", fraction: () => 1 },
      log: openLog({ level: "info", write }),
      signal: ending.signal,
    });
  }

  /** Certificates are made outside of the fake time. */
  async function untilMade(count: number): Promise<void> {
    await expect
      .poll(async () => {
        await clock.advance(0);
        return made.length;
      })
      .toBe(count);
  }

  /** Requests are signed outside of the fake time, and while one is on its way none of that may pass. */
  async function untilAsleep(): Promise<void> {
    await expect
      .poll(async () => {
        await clock.advance(0);
        return clock.sleepers;
      })
      .toBe(1);
  }

  test("at two thirds of its life, and not before", async () => {
    const keeping = keep();
    await untilMade(1);
    await clock.advance(60 * DAY_MS - 1_200_000);
    expect(made).toHaveLength(1);
    await clock.advance(2_400_000);
    await untilMade(2);
    expect(timesOf(made[1]!).toMs - timesOf(made[0]!).toMs).toBeGreaterThan(59 * DAY_MS);
    ending.abort();
    await keeping;
  });

  test("a new process takes the stored one, and asks for another only for other domains", async () => {
    await obtain();
    const keeping = keep();
    await clock.advance(DAY_MS);
    expect(made).toEqual([]);
    ending.abort();
    await keeping;
    settings = { ...settings, domains: ["a.example"] };
    const other = keep();
    await untilMade(1);
    expect(made[0]?.domains).toEqual(["a.example"]);
    ending.abort();
    await other;
    settings = { ...settings, directoryUrl: "https://acme.other/directory" };
    expect(storedCertificate(settings, store, clock)).toBeUndefined();
  });

  test("with longer waits after each failure, up to 6 h, and as long as the server wants", async () => {
    const tries: number[] = [];
    let retryAfter: Record<string, string> = {};
    fake.refusal = (path) => {
      if (path !== "/new-order") return undefined;
      tries.push(clock.nowMs());
      return problem("rateLimited", "too many certificates", 429, retryAfter);
    };
    const keeping = keep();
    await untilAsleep();
    for (let minute = 0; tries.length < 12; minute += 1) {
      expect(minute).toBeLessThan(2000);
      await clock.advance(60_000);
      await untilAsleep();
    }
    const waits = tries.slice(1).map((at, i) => Math.round((at - tries[i]!) / 60_000));
    expect(waits.slice(0, 7)).toEqual([2, 4, 8, 16, 32, 64, 128]);
    expect(Math.max(...waits)).toBe(360);
    expect(lines.find(({ level }) => level === "warn")).toMatchObject({
      error: expect.stringContaining(
        "refuses the new order for a.example, b.example: rateLimited, too many certificates",
      ),
      served: "the certificate of the API's own authority",
    });
    retryAfter = { "retry-after": String(2 * 24 * 3600) };
    const count = tries.length;
    await clock.advance(6 * 3_600_000 + 60_000);
    await expect.poll(() => tries.length).toBe(count + 1);
    await expect
      .poll(async () => {
        await clock.advance(0);
        return lines.at(-1)?.["nextTry"];
      })
      .toBe(new Date(tries.at(-1)! + 2 * DAY_MS).toISOString());
    ending.abort();
    await keeping;
  });
});
