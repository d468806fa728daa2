import { serverInterceptors } from "../rpc/interceptors.ts";
import { localTransport } from "../rpc/local-transport.ts";
import type { Log } from "../util/log.ts";
import { formatRef, nodeRef } from "../util/ref.ts";
import { openAgent } from "./agent-part.ts";
import { openApiPart } from "./api-part.ts";
import { protectApi } from "./exposure.ts";
import { lockFolder } from "./folder-lock.ts";
import { identityOf } from "./identity/api-tls.ts";
import { addressOf, ownUrl } from "./own-address.ts";
import { openPeers } from "./peers.ts";
import type { Served } from "./run.ts";
import type { Settings } from "./settings.ts";

/**
 * Serves the API and the agent of this node in one process. They call each other by the same RPCs as on two
 * nodes, but without a socket. The address of the node says where the process is. Its name says that it is
 * this node, also if it had another address before.
 */
export async function serveStandalone(settings: Settings<"standalone">, log: Log): Promise<Served> {
  const unaryTimeoutMs = settings.agentTimeout;
  await using opened = new AsyncDisposableStack();
  opened.use(lockFolder(settings.baseDirectory, "api"));
  opened.use(lockFolder(settings.baseDirectory, "agent"));
  const protection = protectApi(settings, log);
  const peers = opened.use(openPeers({ ...protection.toAgents, unaryTimeoutMs }));
  const identity = await identityOf(settings, protection, log);
  if (identity !== undefined) opened.use(identity);
  const agentLog = log.child({ part: "agent" });
  const agent = opened.use(await openAgent(settings, agentLog, protection, peers));
  const toAgent = localTransport(agent.routes, {
    interceptors: serverInterceptors(agentLog, "api"),
    unaryTimeoutMs,
  });
  const part = opened.use(
    await openApiPart(
      settings,
      protection,
      log,
      {
        agentTransport: (address, nodeName) =>
          nodeName === settings.name ? toAgent : peers.transportTo(address),
        untrustedTransport: (address, nodeName) =>
          nodeName === settings.name ? toAgent : peers.openUntrusted(address),
      },
      identity,
    ),
  );
  const listener = await part.listen();
  const toApi = localTransport(part.routes, {
    interceptors: serverInterceptors(log),
    caller: { principal: formatRef(nodeRef(settings.name)), groups: [] },
  });
  const { bindAddress } = settings;
  const ownAddress = addressOf(ownUrl(bindAddress, listener.port, protection.hasTls));
  const unregister = agent.register(toApi, ownAddress);
  const parts = opened.move();
  return {
    url: listener.url,
    stillRuns: () => [...part.stillRuns(), ...agent.stillRuns()],
    stop: async (graceMs) => {
      await unregister();
      await listener.stop(graceMs);
      await parts.disposeAsync();
    },
  };
}
