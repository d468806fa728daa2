import { isUnspecified } from "../rpc/host.ts";
import { listen } from "../rpc/listen.ts";
import {
  AGENT_PORT_DEFAULT,
  API_PORT_DEFAULT,
  baseUrlOf,
  openTransport,
} from "../rpc/transport.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { openAgent } from "./agent-part.ts";
import { protectAgent } from "./exposure.ts";
import { lockFolder } from "./folder-lock.ts";
import { addressOf } from "./own-address.ts";
import { openPeers } from "./peers.ts";
import type { Served } from "./run.ts";
import type { Settings } from "./settings.ts";
import { readVersion } from "./version.ts";

/**
 * Serves one node: the agent's RPCs, and its registration with the API.
 *
 * @param openDrivers Default: the drivers of the real node.
 */
export async function serveAgent(
  settings: Settings<"agent">,
  log: Log,
  openDrivers?: Parameters<typeof openAgent>[4],
): Promise<Served> {
  checkAdvertised(settings);
  const { advertiseAddress } = settings;
  const advertised =
    advertiseAddress === undefined
      ? []
      : [new URL(baseUrlOf(advertiseAddress, AGENT_PORT_DEFAULT)).hostname];
  await using opened = new AsyncDisposableStack();
  opened.use(lockFolder(settings.baseDirectory, "agent"));
  const protection = protectAgent(settings, log);
  const peers = opened.use(openPeers(protection.toAgents));
  const api = opened.adopt(
    openTransport(settings.nodeApiEndpoint, API_PORT_DEFAULT, protection.toApi),
    (transport) => transport.close(),
  );
  const agent = opened.use(await openAgent(settings, log, protection, peers, openDrivers));
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
    ...protection,
  });
  const unregister = agent.register(api, advertiseAddress ?? addressOf(listener.url));
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

/** @throws N0Error `invalid_argument` if no other node could know its address. */
function checkAdvertised({ bindAddress, advertiseAddress }: Settings<"agent">): void {
  if (!isUnspecified(bindAddress) || advertiseAddress !== undefined) return;
  throw new N0Error(
    "invalid_argument",
    `advertise-address: must be given when the agent listens on every address (${bindAddress}): it is where the API calls it`,
  );
}
