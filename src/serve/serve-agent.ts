import type { Transport } from "@connectrpc/connect";
import { isUnspecified } from "../rpc/host.ts";
import { listen } from "../rpc/listen.ts";
import {
  AGENT_PORT_DEFAULT,
  API_PORT_DEFAULT,
  baseUrlOf,
  openTransport,
} from "../rpc/transport.ts";
import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { openAgent } from "./agent-part.ts";
import { type AgentProtection, protectAgent } from "./exposure.ts";
import { lockFolder } from "./folder-lock.ts";
import {
  addressTowards,
  identityOf,
  type JoinedAgent,
  openJoinedAgent,
} from "./identity/joined-agent.ts";
import type { NodeIdentity } from "./identity/node-identity.ts";
import { addressOf } from "./own-address.ts";
import { openPeers, type Peers } from "./peers.ts";
import type { Served } from "./run.ts";
import type { AgentSettings, Settings } from "./settings.ts";
import { readVersion } from "./version.ts";

/**
 * Serves one node: the agent's RPCs, and its registration with the API.
 *
 * @param openDrivers Default: the drivers of the real node.
 */
export async function serveAgent(
  given: Settings<"agent">,
  log: Log,
  openDrivers?: Parameters<typeof openAgent>[4],
): Promise<Served> {
  await using opened = new AsyncDisposableStack();
  opened.use(lockFolder(given.baseDirectory, "agent"));
  const identity = await identityOf(given, log);
  const settings = await resolved(given, identity);
  checkAdvertised(settings);
  const { advertiseAddress } = settings;
  const advertised =
    advertiseAddress === undefined
      ? []
      : [new URL(baseUrlOf(advertiseAddress, AGENT_PORT_DEFAULT)).hostname];
  const way =
    identity === undefined
      ? opened.use(shareToken(settings, log))
      : opened.use(openJoinedAgent(identity, settings, log));
  const { toAgents = {}, served, ...rules } = wayOf(way);
  const protection = { toAgents, ...rules };
  const agent = opened.use(await openAgent(settings, log, protection, way.peers, openDrivers));
  const listener = await listen({
    host: settings.bindAddress,
    port: settings.bindPort,
    connectionsMax: settings.connectionsMax,
    receiveTimeoutMs: settings.receiveTimeout,
    log,
    audience: "api",
    routes: agent.routes,
    publicHosts: () => advertised,
    version: readVersion(),
    ...served,
  });
  const joined = "onRevoked" in way ? way : undefined;
  joined?.onRenewed(listener.replaceTls);
  const own = advertisedUrl(settings, joined !== undefined) ?? addressOf(listener.url);
  const unregister = agent.register(way.toApi, own, joined?.onRevoked);
  const parts = opened.move();
  return {
    url: listener.url,
    stillRuns: () => agent.stillRuns(),
    stop: async (graceMs) => {
      await unregister();
      await listener.stop(graceMs);
      await parts.disposeAsync();
    },
  };
}

/** How an agent without a certificate serves and calls: by the tokens that it shares with the API. */
interface SharedToken extends AsyncDisposable {
  readonly protection: AgentProtection;
  readonly toApi: Transport;
  readonly peers: Pick<Peers, "transportTo">;
}

function shareToken(settings: AgentSettings, log: Log): SharedToken {
  const protection = protectAgent(settings, log);
  const { nodeApiEndpoint } = settings;
  const peers = openPeers(protection.toAgents);
  const toApi = openTransport(nodeApiEndpoint, API_PORT_DEFAULT, protection.toApi);
  return {
    protection,
    toApi,
    peers,
    async [Symbol.asyncDispose]() {
      toApi.close();
      peers[Symbol.dispose]();
    },
  };
}

function wayOf(way: SharedToken | JoinedAgent) {
  if (!("protection" in way)) {
    const { admitCertificate, admitCopy } = way;
    return { served: { tls: way.tls(), admitCertificate }, admitCopy };
  }
  const { tls, token, toAgents } = way.protection;
  return { toAgents, served: defined({ tls, token }) };
}

/** The settings with the address to listen on. An agent that has joined is protected, whatever they say. */
async function resolved(
  settings: Settings<"agent">,
  identity: NodeIdentity | undefined,
): Promise<AgentSettings> {
  const { bindAddress, nodeApiEndpoint } = settings;
  if (identity === undefined) return { ...settings, bindAddress: bindAddress ?? "127.0.0.1" };
  const own = bindAddress ?? (await addressTowards(nodeApiEndpoint));
  return { ...settings, bindAddress: own, insecure: false };
}

/** With a certificate the API calls by https: only, so the scheme can be left out. */
function advertisedUrl(
  { advertiseAddress }: AgentSettings,
  hasJoined: boolean,
): string | undefined {
  const isBare = advertiseAddress !== undefined && !/^[a-z]+:\/\//i.test(advertiseAddress);
  return hasJoined && isBare ? `https://${advertiseAddress}` : advertiseAddress;
}

/** @throws N0Error `invalid_argument` if no other node could know its address. */
function checkAdvertised({ bindAddress, advertiseAddress }: AgentSettings): void {
  if (!isUnspecified(bindAddress) || advertiseAddress !== undefined) return;
  throw new N0Error(
    "invalid_argument",
    `advertise-address: must be given when the agent listens on every address (${bindAddress}): it is where the API calls it`,
  );
}
