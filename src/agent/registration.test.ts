import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import type { ApplyNodeRequest } from "../gen/n0stack/pool/v0/node_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { errorInterceptor } from "../rpc/errors.ts";
import { notFound } from "../util/errors.ts";
import { openLog, silentLog } from "../util/log.ts";
import { untilAborted } from "../util/race.ts";
import { systemRandom } from "../util/random.ts";
import type { NodeIdentity } from "./registration.ts";
import { AGENT_VERSION_ANNOTATION, keepRegistered } from "./registration.ts";

const identity: NodeIdentity = {
  name: "node-1",
  address: "10.0.0.1:20181",
  location: { datacenter: "dc", availabilityZone: "az", cell: "c", rack: "r", unit: 7 },
  accelerator: "kvm",
  reserveLimits: true,
  version: "1.2.3",
};
const facts = {
  hostname: "ignored",
  cpuMilliCores: 4000,
  memoryBytes: 8n * 1024n ** 3n,
  storageBytes: 100n * 1024n ** 3n,
  serial: "S-1",
};

/** The API as far as an agent sees it. */
function newApi() {
  const nodes = new Map<string, ApplyNodeRequest>();
  const calls: { method: string; atMs: number }[] = [];
  const clock = newFakeClock();
  const api = { nodes, calls, clock, away: false, intervalMilliseconds: 2_000 };
  const called = (method: string) => {
    calls.push({ method, atMs: clock.monotonicMs() });
    if (api.away) throw new ConnectError("connection refused", Code.Unavailable);
  };
  const transport = createRouterTransport(
    (router) => {
      router.service(NodeService, {
        getNode({ name }) {
          called("get");
          const { labels, annotations, ipmiAddress } = nodes.get(name) ?? missing(name);
          return { name, labels, annotations, ipmiAddress };
        },
        applyNode(request) {
          called("apply");
          nodes.set(request.name, request);
          return { name: request.name };
        },
        heartbeatNode({ name }) {
          called("heartbeat");
          if (!nodes.has(name)) throw notFound("node", name);
          return { intervalMilliseconds: api.intervalMilliseconds };
        },
      });
    },
    { router: { interceptors: [errorInterceptor(silentLog)] } },
  );
  return { ...api, api, client: createClient(NodeService, transport) };
}

function missing(name: string): never {
  throw notFound("node", name);
}

async function start(api: ReturnType<typeof newApi>, given: Partial<NodeIdentity> = {}) {
  const end = new AbortController();
  const warnings: string[] = [];
  const done = keepRegistered({
    nodes: api.client,
    identity: { ...identity, ...given },
    readFacts: async () => facts,
    clock: api.clock,
    random: { ...systemRandom, fraction: () => 1 },
    log: openLog({ level: "warn", write: (line) => warnings.push(line) }),
    signal: end.signal,
  });
  await api.clock.advance(0);
  const stop = async () => {
    end.abort();
    await done;
    expect(api.clock.sleepers).toBe(0);
  };
  return { stop, warnings };
}

const methods = (api: ReturnType<typeof newApi>) => api.calls.map((call) => call.method);

test("registers all that the API places by, then beats as often as the API says", async () => {
  const api = newApi();
  const { stop } = await start(api);
  expect(api.nodes.get("node-1")).toMatchObject({
    name: "node-1",
    address: "10.0.0.1:20181",
    ipmiAddress: "",
    serial: "S-1",
    cpuMilliCores: 4000,
    memoryBytes: facts.memoryBytes,
    storageBytes: facts.storageBytes,
    datacenter: "dc",
    availabilityZone: "az",
    cell: "c",
    rack: "r",
    unit: 7,
    reserveLimits: true,
    accelerator: "kvm",
    labels: {},
    annotations: { [AGENT_VERSION_ANNOTATION]: "1.2.3" },
  });
  await api.clock.advance(6_000);
  expect(methods(api)).toEqual(["get", "apply", ...Array(4).fill("heartbeat")]);
  await stop();
});

test("beats every 5 s where the API names no interval, and never without a pause", async () => {
  const api = newApi();
  api.api.intervalMilliseconds = 0;
  const { stop } = await start(api);
  await api.clock.advance(10_000);
  expect(methods(api).filter((method) => method === "heartbeat").length).toBe(3);
  api.api.intervalMilliseconds = 1;
  await api.clock.advance(5_000);
  const before = api.calls.length;
  await api.clock.advance(1_000);
  expect(api.calls.length - before).toBe(10);
  await stop();
});

test("what the operator says the node has goes before what it has", async () => {
  const api = newApi();
  const { stop } = await start(api, { capacity: { cpuMilliCores: 2000 } });
  expect(api.nodes.get("node-1")).toMatchObject({
    cpuMilliCores: 2000,
    memoryBytes: facts.memoryBytes,
  });
  await stop();
});

test("keeps the labels, annotations and IPMI address that a user gave the node", async () => {
  const api = newApi();
  await api.client.applyNode({
    name: "node-1",
    labels: { rack: "a" },
    annotations: { note: "mine", [AGENT_VERSION_ANNOTATION]: "1.0.0" },
    ipmiAddress: "10.9.0.1",
  });
  const { stop } = await start(api);
  expect(api.nodes.get("node-1")).toMatchObject({
    labels: { rack: "a" },
    annotations: { note: "mine", [AGENT_VERSION_ANNOTATION]: "1.2.3" },
    ipmiAddress: "10.9.0.1",
  });
  await stop();
});

test("tries for ever while the API is away, ever less often, and says so once", async () => {
  const api = newApi();
  api.api.away = true;
  const { stop, warnings } = await start(api);
  await api.clock.advance(60_000);
  const gaps = api.calls.slice(1).map((call, n) => call.atMs - api.calls[n]!.atMs);
  expect(gaps.slice(0, 6)).toEqual([250, 500, 1000, 2000, 4000, 5000]);
  expect(new Set(gaps.slice(5))).toEqual(new Set([5000]));
  expect(warnings.length).toBe(1);
  api.api.away = false;
  await api.clock.advance(5_000);
  expect(api.nodes.has("node-1")).toBe(true);
  await stop();
});

test("registers anew when the API comes back after it was away", async () => {
  const api = newApi();
  const { stop } = await start(api);
  api.api.away = true;
  await api.clock.advance(20_000);
  api.calls.length = 0;
  api.api.away = false;
  await api.clock.advance(5_000);
  expect(methods(api).slice(0, 3)).toEqual(["get", "apply", "heartbeat"]);
  await stop();
});

test("registers anew when the API has forgotten the node, without a flood if it always does", async () => {
  const api = newApi();
  const { stop } = await start(api);
  api.nodes.clear();
  await api.clock.advance(3_000);
  expect(api.nodes.has("node-1")).toBe(true);

  const forgetful = newApi();
  forgetful.nodes.set = () => forgetful.nodes;
  const other = await start(forgetful);
  await forgetful.clock.advance(1_000);
  expect(forgetful.calls.length).toBeLessThan(20);
  await stop();
  await other.stop();
});

test("stops at once in the middle of a call", async () => {
  const clock = newFakeClock();
  const asked = Promise.withResolvers<void>();
  const transport = createRouterTransport((router) => {
    router.service(NodeService, {
      getNode: (_request, { signal }) => {
        asked.resolve();
        return untilAborted(signal);
      },
    });
  });
  const end = new AbortController();
  const done = keepRegistered({
    nodes: createClient(NodeService, transport),
    identity,
    readFacts: async () => facts,
    clock,
    random: systemRandom,
    log: silentLog,
    signal: end.signal,
  });
  await asked.promise;
  end.abort();
  await done;
});

test("stops at once in the middle of a wait", async () => {
  const api = newApi();
  api.api.away = true;
  const waiting = await start(api);
  await waiting.stop();
  const before = api.calls.length;
  await api.clock.advance(60_000);
  expect(api.calls.length).toBe(before);
});
