import { join } from "node:path";
import type { ConnectRouter } from "@connectrpc/connect";
import type { ApiOptions, OpenedApi } from "../api/api.ts";
import { openApi } from "../api/api.ts";
import { consoleRoutes } from "../api/console/console-service.ts";
import { downloadHandler } from "../api/console/download.ts";
import { linkRights } from "../api/console/link-right.ts";
import { createConsoleLinks } from "../api/console/links.ts";
import { novncHandler } from "../api/console/novnc.ts";
import { consoleFinder, volumeFinder } from "../api/console/targets.ts";
import { openConsoleTokens } from "../api/console/tokens/tokens.ts";
import { vncSocketHandler } from "../api/console/vnc-socket.ts";
import { sqliteDatastore } from "../datastore/sqlite/sqlite-datastore.ts";
import { originRule } from "../rpc/cors.ts";
import type { Listener } from "../rpc/listen.ts";
import { listen } from "../rpc/listen.ts";
import type { OwnCertificate } from "../rpc/mutual-tls.ts";
import { systemClock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import type { Log } from "../util/log.ts";
import { isLoopback, LOOPBACK_HOSTS } from "../util/loopback.ts";
import { systemRandom } from "../util/random.ts";
import { type AcmePart, openAcme } from "./acme/open-acme.ts";
import type { Protection } from "./exposure.ts";
import { clockFromEnvironment, faultsFromEnvironment } from "./faults.ts";
import type { ApiIdentity } from "./identity/api-identity.ts";
import { joinedPeers, tlsOf } from "./identity/api-tls.ts";
import { keepTlsFiles } from "./identity/tls-files.ts";
import { oidcProvidersOf, oidcRoleRulesOf } from "./oidc-settings.ts";
import { ownUrl } from "./own-address.ts";
import type { Settings } from "./settings.ts";
import { readVersion } from "./version.ts";

/** Twice the write-ahead log: enough to undo thousands of steps on a full file system. */
const DATASTORE_RESERVE_BYTES = 64 * 1024 ** 2;

type ApiSettings = Settings<"api"> | Settings<"standalone">;

export interface ApiPart extends AsyncDisposable {
  readonly routes: (router: ConnectRouter) => void;
  /** Serves the API. The port is known only after that. */
  listen(): Promise<Listener>;
  /** The transactions that it runs. */
  stillRuns(): readonly string[];
}

/**
 * Opens the datastore, and takes over the open transactions of earlier processes, before anything listens.
 * The caller has the lock of the base directory.
 */
export async function openApiPart(
  settings: ApiSettings,
  protection: Protection,
  log: Log,
  ways: Required<Pick<ApiOptions, "agentTransport" | "untrustedTransport">>,
  identity: ApiIdentity | undefined,
): Promise<ApiPart> {
  await using opened = new AsyncDisposableStack();
  const clock = clockFromEnvironment(process.env, log);
  const datastore = sqliteDatastore({
    path: join(settings.baseDirectory, "api", "n0core.sqlite"),
    clock,
    reserveBytes: DATASTORE_RESERVE_BYTES,
    log,
  });
  const tokens = opened.use(await openConsoleTokens({ datastore, clock, random: systemRandom }));
  let port = settings.bindPort;
  const acme = protection.acme && openAcme(settings, protection.acme, log);
  const publicUrl = () =>
    settings.publicUrl ??
    ownUrl(protection.acme?.domains[0] ?? settings.bindAddress, port, protection.hasTls);
  const joined = opened.use(joinedPeers(identity, settings.agentTimeout));
  const { api, routes, guarded, authenticate, onRefused } = opened.use(
    await openApi({
      datastore,
      ...ways,
      ...defined({ joinedTransport: joined.transportTo }),
      ...joiningBy(identity, settings, () => ownUrl(settings.bindAddress, port, protection.hasTls)),
      ...defined({ agentToken: protection.toAgents.token?.value }),
      links: createConsoleLinks(tokens, publicUrl),
      nameservers: settings.nameservers,
      openTransactionsMax: settings.openTransactionsMax,
      storageRequestRatioMin: settings.storageRequestRatioMin,
      idempotencyRetentionMs: settings.idempotencyRetention,
      historyRetentionMs: settings.historyRetention,
      oidcProviders: oidcProvidersOf(settings),
      oidcRoleRules: oidcRoleRulesOf(settings),
      clock,
      random: systemRandom,
      log,
      faults: faultsFromEnvironment(process.env, log),
    }),
  );
  const findConsole = consoleFinder(api);
  const handlers = {
    tokens,
    log,
    findConsole,
    findVolume: volumeFinder(api),
    ...linkRights(api),
  };
  const isListed = originRule(settings.corsOrigins);
  const isOwn = (origin: string) =>
    origin === publicUrl() || ownOrigins(settings, protection, port).includes(origin);
  const novnc = await novncHandler();
  const parts = opened.move();
  return {
    routes,
    listen: async () => {
      const listener = await listen({
        host: settings.bindAddress,
        port: settings.bindPort,
        connectionsMax: settings.connectionsMax,
        receiveTimeoutMs: settings.receiveTimeout,
        log,
        routes: (router) => {
          routes(router);
          consoleRoutes(guarded(router), findConsole, log);
        },
        httpHandlers: [novnc, downloadHandler(handlers)],
        upgradeHandlers: [vncSocketHandler(handlers)],
        isOriginAllowed: (origin) => isListed(origin) || isOwn(origin),
        publicHosts: () => [new URL(publicUrl()).hostname],
        version: readVersion(),
        authenticate,
        onRefused,
        ...protection,
        ...tlsOf(protection, identity, api, acme?.tls()),
      });
      const owners = { identity, acme, api, log };
      parts.use(keepCertificates(settings, protection, listener, owners));
      port = listener.port;
      return listener;
    },
    stillRuns: () => api.engine.live.all().map(({ header }) => `${header.kind} ${header.id}`),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function joiningBy(
  identity: ApiIdentity | undefined,
  { certificateLifetime }: ApiSettings,
  apiEndpoint: () => string,
): Pick<ApiOptions, "joining"> {
  if (identity === undefined) return {};
  const authority = async () => identity.authority;
  return { joining: { authority, apiEndpoint, certificateLifetimeMs: certificateLifetime } };
}

interface CertificateOwners {
  readonly identity: ApiIdentity | undefined;
  readonly acme: AcmePart | undefined;
  readonly api: OpenedApi["api"];
  readonly log: Log;
}

/** Gives the listener each new certificate: of the API's own authority, of the TLS files, and of an ACME server. */
function keepCertificates(
  settings: ApiSettings,
  protection: Protection,
  listener: Listener,
  { identity, acme, api, log }: CertificateOwners,
): AsyncDisposable {
  const { tlsCert, tlsKey } = settings;
  let { tls: files } = protection;
  const replace = () => {
    const present = { ...protection, ...defined({ tls: files }) };
    const { tls } = tlsOf(present, identity, api, acme?.tls());
    if (tls !== undefined) listener.replaceTls(tls);
  };
  identity?.onRenewed(replace);
  const fromAcme = acme?.keep(replace);
  const ending = new AbortController();
  const onChanged = (changed: OwnCertificate) => {
    files = { ...files, ...changed };
    replace();
  };
  const keeping =
    tlsCert === undefined || tlsKey === undefined || files === undefined
      ? undefined
      : keepTlsFiles({
          ...{ tlsCert, tlsKey, present: files, onChanged },
          ...{ clock: systemClock, log, signal: ending.signal },
        });
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.all([keeping, fromAcme?.[Symbol.asyncDispose]()]);
    },
  };
}

/** The origins of the pages that this server serves. */
function ownOrigins({ bindAddress }: ApiSettings, { hasTls }: Protection, port: number): string[] {
  // For a browser on another computer, `localhost` is not this server.
  const addresses = isLoopback(bindAddress) ? LOOPBACK_HOSTS : [bindAddress];
  return addresses.map((address) => new URL(ownUrl(address, port, hasTls)).origin);
}
