import { downloadHandler } from "../src/api/console/download.ts";
import { linkRights } from "../src/api/console/link-right.ts";
import { createConsoleLinks } from "../src/api/console/links.ts";
import { consoleFinder, volumeFinder } from "../src/api/console/targets.ts";
import { openConsoleTokens } from "../src/api/console/tokens/tokens.ts";
import { vncSocketHandler } from "../src/api/console/vnc-socket.ts";
import type { ConsoleLinks } from "../src/api/core/console-links.ts";
import type { Caller } from "../src/rpc/caller.ts";
import { type Listener, listen } from "../src/rpc/listen.ts";
import { systemClock } from "../src/util/clock.ts";
import { silentLog } from "../src/util/log.ts";
import { systemRandom } from "../src/util/random.ts";
import { allRoutes } from "./served.ts";
import type { World } from "./world.ts";

export const ADMINISTRATORS_TOKEN = "the-administrators-own-token";

export interface ServedWorld extends Listener, AsyncDisposable {
  /** Real ones, which its links then are. */
  readonly links: ConsoleLinks;
}

/** Serves the API of a world on a real socket, with its consoles and downloads. */
export async function serveWorld(
  { opened }: World,
  callers: ReadonlyMap<string, Caller>,
): Promise<ServedWorld> {
  const { api } = opened;
  const ways = { datastore: api.datastore, clock: systemClock, random: systemRandom };
  const tokens = await openConsoleTokens(ways);
  const deps = {
    ...{ tokens, log: silentLog },
    ...{ findConsole: consoleFinder(api), findVolume: volumeFinder(api) },
    ...linkRights(api),
  };
  const listener = await listen({
    ...{ host: "127.0.0.1", port: 0, log: silentLog },
    token: ADMINISTRATORS_TOKEN,
    authenticate: (token) => callers.get(token),
    routes: allRoutes(opened),
    httpHandlers: [downloadHandler(deps)],
    upgradeHandlers: [vncSocketHandler(deps)],
  });
  return {
    ...listener,
    links: createConsoleLinks(tokens, () => listener.url),
    async [Symbol.asyncDispose]() {
      await listener.stop(0);
      tokens[Symbol.dispose]();
    },
  };
}
