import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { createClient } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import { newFakeDrivers } from "../../test/fake-drivers.ts";
import { ComputeAgentService } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { listen } from "../rpc/listen.ts";
import { openTransport } from "../rpc/transport.ts";
import { systemClock } from "../util/clock.ts";
import { silentLog } from "../util/log.ts";
import { until } from "../util/until.ts";
import { newKeyedQueue } from "./keyed-queue.ts";
import { agentRoutes } from "./routes.ts";

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** An agent on a real port; the screen of its domains is a server on a real unix socket. */
async function serve() {
  const path = join(tmpdir(), `n0-wire-${process.pid}-${Math.random().toString(36).slice(2)}.sock`);
  const screens: Socket[] = [];
  const screenServer = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    screens.push(socket);
  });
  screenServer.listen(path);
  await once(screenServer, "listening");

  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, clock: systemClock, log: silentLog });
  const drivers = newFakeDrivers();
  drivers.compute.openVnc = async () => {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };
  const connectPeer = () => {
    throw new Error("not in this test");
  };
  const deps = { ...drivers, queue, connectPeer, clock: systemClock, log: silentLog };
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: agentRoutes(deps),
  });
  const transport = openTransport(server.url, 1);
  cleanUps.push(async () => {
    transport.close();
    end.abort();
    for (const screen of screens) screen.destroy();
    screenServer.close();
    await server.stop(1_000);
  });
  const client = createClient(ComputeAgentService, transport);
  const volumes = createClient(VolumeAgentService, transport);
  return { server, client, volumes, screens, drivers, queue };
}

/** A viewer of the screen of `web-1`: what it types, and what it has seen. */
async function view(agent: Awaited<ReturnType<typeof serve>>) {
  const typed = new PassThrough();
  const hangUp = new AbortController();
  async function* requests() {
    yield { name: "web-1" };
    for await (const data of typed) yield { data };
  }
  const viewer = { typed, hangUp, seen: "", ended: false, failure: undefined as unknown };
  const messages = agent.client.openVnc(requests(), { signal: hangUp.signal });
  void (async () => {
    for await (const { data } of messages) viewer.seen += Buffer.from(data).toString();
  })()
    .catch((reason: unknown) => void (viewer.failure = reason))
    .finally(() => void (viewer.ended = true));
  await until(() => agent.screens.length > 0);
  const screen = agent.screens.at(-1)!;
  let heard = "";
  screen.on("data", (data: Buffer) => void (heard += data.toString()));
  return { viewer, screen, heard: () => heard };
}

test("a screen is carried both ways, and the viewer's half-close reaches it", async () => {
  const agent = await serve();
  const { viewer, screen, heard } = await view(agent);
  screen.write("RFB 003.008\n");
  await until(() => viewer.seen === "RFB 003.008\n");
  viewer.typed.write("key");
  await until(() => heard() === "key");
  const ended = once(screen, "end");
  viewer.typed.end();
  await ended;
  screen.end("bye");
  await until(() => viewer.ended);
  expect([viewer.seen, viewer.failure]).toEqual(["RFB 003.008\nbye", undefined]);
});

test("a viewer that hangs up frees the screen", async () => {
  const agent = await serve();
  const { viewer, screen } = await view(agent);
  const closed = once(screen, "end");
  viewer.hangUp.abort();
  await closed;
  await until(() => viewer.ended);
});

test("a screen that goes away ends the viewer's call, though the viewer sends nothing", async () => {
  const agent = await serve();
  const { viewer, screen } = await view(agent);
  screen.destroy();
  await until(() => viewer.ended);
});

test("a stopping server frees the screens and does not wait for the viewers", async () => {
  const agent = await serve();
  const { viewer, screen } = await view(agent);
  const closed = once(screen, "end");
  await agent.server.stop(200);
  await closed;
  await until(() => viewer.ended);
});

test("a watcher over the wire sees a change, and leaves no listener behind", async () => {
  const agent = await serve();
  const { compute } = agent.drivers;
  let listeners = 0;
  const { onEvent } = compute;
  compute.onEvent = (listener) => {
    const stop = onEvent(listener);
    listeners += 1;
    return () => {
      listeners -= 1;
      stop();
    };
  };
  const hangUp = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const news of agent.client.watchDomains({}, { signal: hangUp.signal })) {
      seen.push(news.synced ? "synced" : news.name);
    }
  })().catch((reason: unknown) => reason);
  await until(() => seen.includes("synced"));
  const spec = { name: "a", uuid: "u", vcpus: 1, cpuMilliCores: 1, memoryBytes: 1n };
  const mark = { owner: "virtual_machine/a", transactionId: "tx" };
  await compute.ensureStarted({ ...spec, disks: [], nics: [] }, mark, hangUp.signal);
  await until(() => seen.includes("a"));
  hangUp.abort();
  await watching;
  await until(() => listeners === 0);
});

test("a call whose deadline passes goes on at the node until its undo comes", async () => {
  const agent = await serve();
  const { volume } = agent.drivers;
  let aborted: unknown;
  volume.before = async ({ method, signal }) => {
    if (method !== "ensureEmpty") return;
    await once(signal, "abort");
    aborted = signal.reason;
    throw signal.reason;
  };
  const operation = { owner: "block_storage/a", transactionId: "tx", generation: 1n };
  const call = agent.volumes.ensureEmptyVolume(
    { operation, volume: { id: "a", sizeBytes: 1024n ** 2n } },
    // Time enough to get there, also for a busy machine.
    { timeoutMs: 1_000 },
  );
  await expect(call).rejects.toThrow();
  expect([agent.queue.busyKeys, aborted]).toEqual([1, undefined]);
  await agent.volumes.ensureVolumeAbsent({ operation: { ...operation, generation: 2n }, id: "a" });
  expect(aborted).toMatchObject({ kind: "aborted" });
});
