import type { Log } from "../util/log.ts";
import { openApiPart } from "./api-part.ts";
import { protectApi } from "./exposure.ts";
import { lockFolder } from "./folder-lock.ts";
import { identityOf } from "./identity/api-tls.ts";
import { openPeers } from "./peers.ts";
import type { Served } from "./run.ts";
import type { Settings } from "./settings.ts";

/** Serves the API; its agents run elsewhere. */
export async function serveApi(settings: Settings<"api">, log: Log): Promise<Served> {
  await using opened = new AsyncDisposableStack();
  opened.use(lockFolder(settings.baseDirectory, "api"));
  const protection = protectApi(settings, log);
  const peers = opened.use(
    openPeers({ ...protection.toAgents, unaryTimeoutMs: settings.agentTimeout }),
  );
  const ways = { agentTransport: peers.transportTo, untrustedTransport: peers.openUntrusted };
  const identity = await identityOf(settings, protection, log);
  if (identity !== undefined) opened.use(identity);
  const part = opened.use(await openApiPart(settings, protection, log, ways, identity));
  const listener = await part.listen();
  const parts = opened.move();
  return {
    url: listener.url,
    stillRuns: () => part.stillRuns(),
    stop: async (graceMs) => {
      await listener.stop(graceMs);
      await parts.disposeAsync();
    },
  };
}
