import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { ComputeAgentService } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { fromConnectError } from "../rpc/errors.ts";
import { type Listener, listen } from "../rpc/listen.ts";
import { systemClock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import { silentLog } from "../util/log.ts";
import { openPeers } from "./peers.ts";

const MINUTE_MS = 60_000;
const TOKEN = { value: "a-token-of-16-characters", ownerUid: 0 };
const opened: Listener[] = [];
afterEach(async () => {
  for (const listener of opened.splice(0)) await listener.stop(100);
});

/** An agent; `seen` gets the token that each call bears, or null. */
async function serve(host: string, seen: (string | null)[], token?: string): Promise<Listener> {
  const routes = (router: ConnectRouter) =>
    router.service(ComputeAgentService, {
      listDomains: (_, { requestHeader }) => {
        seen.push(requestHeader.get("authorization"));
        return {};
      },
      async *watchDomains(_, { signal }) {
        yield { synced: true };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    });
  const withToken = defined({ token });
  const listener = await listen({ host, port: 0, log: silentLog, routes, ...withToken });
  opened.push(listener);
  return listener;
}

test("another agent is sent the token on loopback, by address or URL", async () => {
  const seen: (string | null)[] = [];
  const { port, url } = await serve("127.0.0.1", seen, TOKEN.value);
  using peers = openPeers({ token: TOKEN });
  for (const address of [`127.0.0.1:${port}`, url, `localhost:${port}`]) {
    await createClient(ComputeAgentService, peers.transportTo(address)).listDomains({});
  }
  expect(seen).toEqual([1, 2, 3].map(() => `Bearer ${TOKEN.value}`));
  expect(() => peers.transportTo("not an address")).toThrow("must be host");
});

test("over http: beyond loopback no token is sent, and who asks for one is told why there is none", async () => {
  const seen: (string | null)[] = [];
  // Linux takes it for this machine, and no rule for loopback does.
  const open = await serve("0.0.0.0", seen);
  const asking = await serve("0.0.0.0", seen, TOKEN.value);
  using peers = openPeers({ token: TOKEN });
  const call = (port: number) =>
    createClient(ComputeAgentService, peers.transportTo(`http://0.0.0.0:${port}`)).listDomains({});
  await call(open.port);
  expect(seen).toEqual([null]);
  const error = fromConnectError(await call(asking.port).catch((reason: unknown) => reason));
  expect(error.kind).toBe("failed_precondition");
  expect(error.message).toMatch(/a token is not sent over http: beyond loopback.*--tls-cert/);
  expect(seen).toEqual([null]);
});

test("the way to a stranger bears no token", async () => {
  const seen: (string | null)[] = [];
  const { url } = await serve("127.0.0.1", seen);
  using peers = openPeers({ token: TOKEN });
  const transport = peers.openUntrusted(url);
  await createClient(ComputeAgentService, transport).listDomains({});
  transport.close();
  expect(seen).toEqual([null]);
  expect(peers.size).toBe(0);
});

test("a transport that nobody has used for ten minutes is closed, one with a call is not", async () => {
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const [watched, used] = [await serve("127.0.0.1", []), await serve("127.0.0.1", [])];
  const closed = Promise.withResolvers<void>();
  const handler = connectNodeAdapter({
    routes: (router) => router.service(ComputeAgentService, { listDomains: () => ({}) }),
  });
  const gone = createServer(handler).on("session", (session) =>
    session.on("close", closed.resolve),
  );
  await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void gone.close());
  using peers = openPeers({}, clock);
  const clientOf = ({ port }: Pick<Listener, "port">) =>
    createClient(ComputeAgentService, peers.transportTo(`127.0.0.1:${port}`));
  const old = clientOf(gone.address() as AddressInfo);
  await old.listDomains({});
  const end = new AbortController();
  const watch = clientOf(watched).watchDomains({}, { signal: end.signal })[Symbol.asyncIterator]();
  await watch.next();
  const busy = clientOf(used);
  await busy.listDomains({});
  expect(peers.size).toBe(3);
  for (; nowMs <= 11 * MINUTE_MS; nowMs += MINUTE_MS) await busy.listDomains({});
  expect(peers.size).toBe(2);
  await closed.promise;
  // A client of it that is still there opens another.
  await old.listDomains({});
  expect(peers.size).toBe(3);
  end.abort();
});
