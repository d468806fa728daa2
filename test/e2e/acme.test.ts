// The API gets its certificate from a real ACME server.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/util/clock.ts";
import { until } from "../../src/util/until.ts";
import { freePort } from "../free-port.ts";
import { requirement } from "../node/requirements.ts";
import { type Pebble, type PebbleOptions, startPebble } from "./pebble.ts";
import { type Server, startServer } from "./server.ts";

const DOMAIN = "cloud.example";
/** At least, before a renewal and after it. */
const CALLS = 10;
const HEALTH = "/grpc.health.v1.Health/Check";

interface Ports {
  readonly api: number;
  readonly http: number;
}

describe.runIf(requirement("pebble"))("with pebble", () => {
  let opened: AsyncDisposableStack;
  let baseDirectory: string;
  let ports: Ports;
  let pebble: Pebble;

  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    baseDirectory = mkdtempSync(join(tmpdir(), "n0-acme-"));
    opened.defer(() => rmSync(baseDirectory, { recursive: true }));
    ports = { api: await freePort(), http: await freePort() };
  });
  afterEach(() => opened.disposeAsync());

  async function begin(options: Partial<PebbleOptions> = {}) {
    const folder = mkdtempSync(join(tmpdir(), "n0-pebble-"));
    opened.defer(() => rmSync(folder, { recursive: true }));
    const where = { folder, httpPort: ports.http, tlsPort: ports.api };
    pebble = opened.use(await startPebble({ ...where, ...options }));
  }

  async function startApi(...flags: readonly string[]): Promise<Server> {
    const server = await startServer(
      { baseDirectory },
      {
        role: "api",
        flags: [
          ...["--base-directory", baseDirectory, "--bind-port", String(ports.api)],
          ...["--acme-directory", pebble.directory, "--acme-ca", pebble.caFile],
          ...["--acme-http-port", String(ports.http), "--acme-email", `admin@${DOMAIN}`],
          ...(flags.includes("--acme-domain") ? [] : ["--acme-domain", DOMAIN]),
          ...flags,
        ],
      },
    );
    opened.defer(async () => void (await server.stop()));
    return server;
  }

  const said = (server: Server, message: string) =>
    server.log().filter((line) => String(line["message"]).includes(message));
  const gotCertificate = (server: Server, count = 1) =>
    until(() => said(server, "got a certificate from the ACME server").length >= count, {
      timeoutMs: 60_000,
      everyMs: 50,
      onTimeout: () =>
        new Error(JSON.stringify(server.log().slice(-5)) + pebble.log().slice(-2000)),
    });
  const stored = (name: string) =>
    JSON.parse(readFileSync(join(baseDirectory, "acme", name), "utf8")) as Record<string, string>;

  /** The serial number of the certificate that a client sees who trusts this authority. */
  const seen = (servername: string | undefined, ca: string) =>
    new Promise<string>((resolve, reject) => {
      const name = servername === undefined ? {} : { servername };
      const socket = connect({ host: "127.0.0.1", port: ports.api, ca, ...name }, () => {
        resolve(socket.getPeerX509Certificate()?.serialNumber ?? "");
        socket.destroy();
      });
      socket.on("error", reject);
    });
  const authority = () => readFileSync(join(baseDirectory, "authority", "certificate.pem"), "utf8");

  test("http-01: clients that ask for the domain see the certificate, also after a restart", async () => {
    await begin();
    const first = await startApi();
    await gotCertificate(first);
    expect(said(first, "there is no certificate for the domains yet")).toHaveLength(1);
    const serial = await seen(DOMAIN, await pebble.root());
    expect(await seen(undefined, authority())).not.toBe(serial);
    expect(readdirSync(join(baseDirectory, "acme")).toSorted()).toEqual([
      "account.json",
      "certificate.json",
    ]);
    for (const name of ["account.json", "certificate.json"]) {
      expect(statSync(join(baseDirectory, "acme", name)).mode & 0o777).toBe(0o600);
    }
    await first.stop("SIGKILL");

    const earlier = first.log().length;
    const second = await startApi();
    expect(await seen(DOMAIN, await pebble.root())).toBe(serial);
    expect(
      second
        .log()
        .slice(earlier)
        .map((line) => line["message"]),
    ).not.toContain("there is no certificate for the domains yet");
  });

  test("tls-alpn-01: the port of the API answers the challenge, beside its users", async () => {
    await begin();
    const server = await startApi("--acme-challenge", "tls-alpn-01");
    await gotCertificate(server);
    expect(await seen(DOMAIN, await pebble.root())).toMatch(/^[0-9A-F]+$/);
    expect(await status(ports.api, DOMAIN, await pebble.root())).toBe(200);
  });

  test("a renewal drops no call, neither of old connections nor of new ones", async () => {
    // A third of it is left when the renewal begins, which takes seconds on a busy machine.
    await begin({ lifetimeSeconds: 30 });
    const server = await startApi();
    await gotCertificate(server);
    const root = await pebble.root();
    const before = await seen(DOMAIN, root);
    const ending = new AbortController();
    const session = connectHttp2(`https://127.0.0.1:${ports.api}`, {
      ca: root,
      servername: DOMAIN,
    });
    const statuses: number[] = [];
    const load = async (call: () => Promise<number>) => {
      while (!ending.signal.aborted) {
        statuses.push(await call());
        await systemClock.sleep(5);
      }
    };
    const loads = [
      load(() => callOn(session)),
      load(() => callOn(session)),
      load(() => status(ports.api, DOMAIN, root)),
    ];
    const renewed = async () => {
      await gotCertificate(server, 2);
      await until(async () => (await seen(DOMAIN, root)) !== before, { timeoutMs: 20_000 });
      const { length } = statuses;
      expect(length).toBeGreaterThan(CALLS);
      await until(() => statuses.length > length + CALLS, { timeoutMs: 20_000 });
      ending.abort();
    };
    // A call that fails ends the test.
    await Promise.all([renewed(), ...loads]);
    expect(session.closed).toBe(false);
    session.close();
    expect(statuses.filter((one) => one !== 200)).toEqual([]);
  });

  test("a refused order is in the log with its domain and reason, and the API serves", async () => {
    await begin({ blockedDomains: ["blocked.example"] });
    const server = await startApi("--acme-domain", "blocked.example");
    const [failure] = await until(
      () => {
        const lines = said(server, "cannot get a certificate");
        return lines.length > 0 && lines;
      },
      { timeoutMs: 30_000 },
    );
    expect(JSON.stringify(failure)).toMatch(
      /refuses the new order for blocked\.example: rejectedIdentifier/,
    );
    expect(failure).toMatchObject({
      domains: ["blocked.example"],
      served: "the certificate of the API's own authority",
    });
    expect(await status(ports.api, "blocked.example", authority())).toBe(200);
  });

  test("after a failed challenge and a death, the next start continues with the same account", async () => {
    await begin();
    const wrong = ["--acme-http-port", String(await freePort())];
    const first = await startApi(...wrong);
    const [failure] = await until(
      () => {
        const lines = said(first, "cannot get a certificate");
        return lines.length > 0 && lines;
      },
      { timeoutMs: 30_000 },
    );
    expect(JSON.stringify(failure)).toMatch(/http-01 challenge of cloud\.example: connection/);
    const account = stored("account.json");
    await first.stop("SIGKILL");

    const second = await startApi();
    await gotCertificate(second);
    expect(stored("account.json")).toEqual(account);
    expect(await seen(DOMAIN, await pebble.root())).toMatch(/^[0-9A-F]+$/);
  });
});

/** One call on a connection. */
async function callOn(session: ReturnType<typeof connectHttp2>): Promise<number> {
  const stream = session.request({
    ":method": "POST",
    ":path": HEALTH,
    "content-type": "application/json",
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  stream.on("response", (headers) => resolve(headers[":status"] ?? 0)).on("error", reject);
  stream.on("close", () => resolve(0));
  stream.end("{}");
  stream.resume();
  return await promise;
}

/** One call on a new connection. */
async function status(port: number, servername: string, ca: string): Promise<number> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca, servername });
  try {
    const failed = new Promise<never>((_resolve, reject) => session.on("error", reject));
    return await Promise.race([callOn(session), failed]);
  } finally {
    session.close();
  }
}
