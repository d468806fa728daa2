import { expect, test } from "vitest";
import { newFakeDrivers } from "../../test/fake-drivers.ts";
import { fromConnectError } from "../rpc/errors.ts";
import { listen } from "../rpc/listen.ts";
import { systemClock } from "../util/clock.ts";
import { silentLog } from "../util/log.ts";
import { newKeyedQueue } from "./keyed-queue.ts";
import { newPeers } from "./peers.ts";
import { agentRoutes } from "./routes.ts";

test("reaches another agent with the token they share, by address or URL", async () => {
  const end = new AbortController();
  using peers = newPeers({ token: "secret" });
  using strangers = newPeers({ token: "wrong" });
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    token: "secret",
    routes: agentRoutes({
      ...newFakeDrivers(),
      queue: newKeyedQueue({ signal: end.signal, clock: systemClock, log: silentLog }),
      connectPeer: peers.connect,
      clock: systemClock,
      log: silentLog,
    }),
  });
  try {
    for (const address of [`127.0.0.1:${server.port}`, server.url]) {
      expect((await peers.connect(address).listVolumes({})).volumes).toEqual([]);
    }
    const refusal = strangers.connect(server.url).listVolumes({});
    expect(fromConnectError(await refusal.catch((reason: unknown) => reason)).kind).toBe(
      "unauthenticated",
    );
    expect(() => peers.connect("not an address")).toThrow("must be host");
  } finally {
    end.abort();
    await server.stop(100);
  }
});
