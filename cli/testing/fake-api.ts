import type { Message } from "@bufbuild/protobuf";
import type { ConnectRouter, Interceptor, Transport } from "@connectrpc/connect";
import { createRouterTransport } from "@connectrpc/connect";
import type { FakeConsole } from "./fake-console.ts";
import { newFakeConsole } from "./fake-console.ts";
import type { FakeDisks } from "./fake-disks.ts";
import { newFakeDisks } from "./fake-disks.ts";
import type { FakeImages } from "./fake-images.ts";
import { newFakeImages } from "./fake-images.ts";
import type { FakeMachines } from "./fake-machines.ts";
import { newFakeMachines } from "./fake-machines.ts";
import type { FakePool } from "./fake-pool.ts";
import { newFakePool } from "./fake-pool.ts";
import type { FakeUsers } from "./fake-users.ts";
import { newFakeUsers } from "./fake-users.ts";

/** One call as the server saw it. */
export interface SeenCall {
  readonly method: string;
  readonly request: Message;
  readonly header: Headers;
}

/** The whole API in memory, spoken to through the real protocol and without a socket. */
export interface FakeApi {
  readonly nodes: FakePool["nodes"];
  readonly networks: FakePool["networks"];
  readonly disks: FakeDisks["disks"];
  /** What a download of each disk holds. */
  readonly contents: FakeDisks["contents"];
  readonly reads: FakeDisks["reads"];
  readonly images: FakeImages["images"];
  readonly machines: FakeMachines["machines"];
  readonly users: FakeUsers["users"];
  readonly serialLogs: FakeConsole["logs"];
  readonly transport: Transport;
  /** The same, for a server on a socket. */
  readonly server: {
    readonly routes: (router: ConnectRouter) => void;
    readonly interceptors: Interceptor[];
  };
  readonly calls: SeenCall[];
  /** Runs before each call; what it throws is the answer. For holding calls up, and for faults. */
  before: (call: SeenCall) => Promise<void> | void;
}

export function newFakeApi(): FakeApi {
  const pool = newFakePool();
  const disks = newFakeDisks();
  const images = newFakeImages(disks);
  const machines = newFakeMachines(disks, pool);
  const users = newFakeUsers();
  const console = newFakeConsole(machines);
  const parts = [pool, disks, images, machines, users, console];
  const routes = (router: ConnectRouter) => {
    for (const part of parts) part.register(router);
  };
  const watchCalls: Interceptor = (next) => async (request) => {
    const message = request.stream ? undefined : request.message;
    const call = {
      method: request.method.name,
      request: message ?? emptyMessage,
      header: request.header,
    };
    api.calls.push(call);
    await api.before(call);
    return await next(request);
  };
  const interceptors = [watchCalls];
  const api: FakeApi = {
    nodes: pool.nodes,
    networks: pool.networks,
    disks: disks.disks,
    contents: disks.contents,
    reads: disks.reads,
    images: images.images,
    machines: machines.machines,
    users: users.users,
    serialLogs: console.logs,
    server: { routes, interceptors },
    transport: createRouterTransport(routes, { router: { interceptors } }),
    calls: [],
    before: () => {},
  };
  return api;
}

/** Stands for the messages of a stream, which are not known when the call begins. */
const emptyMessage: Message = { $typeName: "google.protobuf.Empty" };
