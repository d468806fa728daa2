import type { Log } from "../util/log.ts";
import { openApiPart } from "./api-part.ts";
import { readProtection } from "./exposure.ts";
import { openPeers } from "./peers.ts";
import type { Served } from "./run.ts";
import type { Settings } from "./settings.ts";

/** Serves the API; its agents run elsewhere. */
export async function serveApi(settings: Settings<"api">, log: Log): Promise<Served> {
  const protection = readProtection(settings, log);
  await using opened = new AsyncDisposableStack();
  const peers = opened.use(
    openPeers({ ...protection.peer, unaryTimeoutMs: settings.agentTimeout }),
  );
  const part = opened.use(await openApiPart(settings, protection, log, peers.transportTo));
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
