import { newKeyedQueue } from "../src/agent/keyed-queue.ts";
import { agentRoutes } from "../src/agent/routes.ts";
import { deriveAgentToken } from "../src/rpc/agent-token.ts";
import { listen } from "../src/rpc/listen.ts";
import { systemClock } from "../src/util/clock.ts";
import { silentLog } from "../src/util/log.ts";
import { newFakeDrivers } from "./fake-drivers.ts";
import type { FakeDrivers } from "./fake-node.ts";

/** A node with fake drivers whose agent an API in another process can reach. */
export interface ServedNode extends AsyncDisposable {
  readonly url: string;
  readonly drivers: FakeDrivers;
}

/**
 * @param nodeName The name with which it is registered.
 * @param operatorsToken The token of the API that it is registered with.
 */
export async function serveFakeNode(nodeName: string, operatorsToken: string): Promise<ServedNode> {
  const drivers = newFakeDrivers();
  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, clock: systemClock, log: silentLog });
  const agentToken = deriveAgentToken(operatorsToken);
  let address: string | undefined;
  const routes = agentRoutes({
    ...drivers,
    queue,
    connectPeer: () => {
      throw new Error("there is one node only");
    },
    whoAmI: () => (address === undefined ? undefined : { nodeName, address, agentToken }),
    clock: systemClock,
    log: silentLog,
  });
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes,
    token: agentToken,
  });
  address = listener.url;
  return {
    url: listener.url,
    drivers,
    async [Symbol.asyncDispose]() {
      await listener.stop(0);
      end.abort();
      await queue.whenIdle();
    },
  };
}
