import type { ConnectRouter, Interceptor, Transport } from "@connectrpc/connect";
import { consoleRoutes } from "../../src/api/console/console-service.ts";
import { consoleFinder } from "../../src/api/console/targets.ts";
import { ADMINISTRATOR, callerInterceptor } from "../../src/rpc/caller.ts";
import { serverInterceptors } from "../../src/rpc/interceptors.ts";
import { localTransport } from "../../src/rpc/local-transport.ts";
import { silentLog } from "../../src/util/log.ts";
import { prepareDisk, webRequest } from "../../test/scenario.ts";
import { newWorld, type World } from "../../test/world.ts";

/** One call, as the server received it. */
export interface SeenCall {
  readonly method: string;
  readonly header: Headers;
}

/** The real API on a node with fake drivers. A test can see its calls and make them fail. */
export interface TestApi extends AsyncDisposable {
  readonly world: World;
  readonly transport: Transport;
  /** The same, for a server on a socket. */
  readonly server: {
    readonly routes: (router: ConnectRouter) => void;
    readonly interceptors: Interceptor[];
  };
  readonly calls: SeenCall[];
  /** Runs before each call. An error from it becomes the answer. For delays and faults. */
  before: (call: SeenCall) => Promise<void> | void;
  /** Forgets the calls, and removes `before`. */
  reset(): void;
}

/** `interceptors` run outside of those of the server. */
export async function openTestApi(interceptors: readonly Interceptor[] = []): Promise<TestApi> {
  const world = await newWorld({ inMemory: true });
  const watchCalls: Interceptor = (next) => async (request) => {
    const call = { method: request.method.name, header: request.header };
    api.calls.push(call);
    await api.before(call);
    return await next(request);
  };
  const server = {
    routes: (router: ConnectRouter) => {
      world.opened.routes(router);
      consoleRoutes(world.opened.guarded(router), consoleFinder(world.opened.api), silentLog);
    },
    interceptors: [
      callerInterceptor(ADMINISTRATOR),
      watchCalls,
      ...interceptors,
      ...serverInterceptors(silentLog),
    ],
  };
  const api: TestApi = {
    world,
    server,
    transport: localTransport(server.routes, server),
    calls: [],
    before: () => {},
    reset() {
      api.calls.length = 0;
      api.before = () => {};
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
  return api;
}

/** The running virtual machine `web` on the block storage `root` and the network `net`. */
export async function makeWeb({ world }: TestApi): Promise<void> {
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
}
