import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../src/util/until.ts";
import { requestWeb } from "../../src/util/web-request.ts";
import { freePort } from "../free-port.ts";
import { selfSigned } from "../self-signed.ts";
import { start } from "./program.ts";

/** An ACME server for tests, with a name server for which every name is 127.0.0.1. */
export interface Pebble extends AsyncDisposable {
  readonly directory: string;
  /** The file of the authority of the server itself. */
  readonly caFile: string;
  /** The authority of the certificates that it makes, PEM. */
  root(): Promise<string>;
  log(): string;
}

export interface PebbleOptions {
  readonly folder: string;
  /** Where it looks for the answers to challenges. */
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly lifetimeSeconds?: number;
  readonly blockedDomains?: readonly string[];
}

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  await using opened = new AsyncDisposableStack();
  const { folder, httpPort, tlsPort, lifetimeSeconds = 3600, blockedDomains = [] } = options;
  const file = (name: string) => join(folder, name);
  const own = selfSigned();
  const [port, managementPort, dnsPort, dnsManagementPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  await writeFile(file("pebble.pem"), own.cert);
  await writeFile(file("pebble.key"), own.key);
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: file("pebble.pem"),
    privateKey: file("pebble.key"),
    ...{ httpPort, tlsPort, domainBlocklist: blockedDomains },
    certificateValidityPeriod: lifetimeSeconds,
  };
  await writeFile(file("pebble.json"), JSON.stringify({ pebble }));
  const run = (program: string, args: readonly string[]) => {
    // It refuses some good nonces, and takes its time, unless it is told not to.
    const running = start(program, args, { env: { PEBBLE_VA_NOSLEEP: "1" } });
    opened.defer(async () => {
      running.child.kill("SIGKILL");
      await running.ended;
    });
    return running;
  };
  run("pebble-challtestsrv", [
    ...["-dns01", `127.0.0.1:${dnsPort}`, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""],
    ...["-management", `127.0.0.1:${dnsManagementPort}`],
    ...["-http01", "", "-https01", "", "-tlsalpn01", ""],
  ]);
  const server = run("pebble", [
    ...["-config", file("pebble.json"), "-dnsserver", `127.0.0.1:${dnsPort}`],
  ]);
  const read = async (url: string) => {
    const { signal } = new AbortController();
    const rules = { method: "GET", headers: {}, ca: own.cert, bytesMax: 1 << 20, signal } as const;
    return (await requestWeb(new URL(url), rules)).text;
  };
  const directory = `https://127.0.0.1:${port}/dir`;
  const log = () => server.stdout() + server.stderr();
  await untilServing(() => read(directory), log);
  const parts = opened.move();
  return {
    directory,
    caFile: file("pebble.pem"),
    root: () => read(`https://127.0.0.1:${managementPort}/roots/0`),
    log,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function untilServing(read: () => Promise<string>, log: () => string): Promise<void> {
  const isServing = async () => {
    try {
      return (await read()).includes("newOrder");
    } catch {
      return false;
    }
  };
  const onTimeout = () => new Error(`no pebble: ${log()}`);
  await until(isServing, { timeoutMs: 20_000, everyMs: 50, onTimeout });
}
