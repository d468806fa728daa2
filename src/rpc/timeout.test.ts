import { createClient, createRouterTransport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { silentLog } from "../util/log.ts";
import { onNode } from "./errors.ts";
import { listen } from "./listen.ts";
import { unaryTimeoutInterceptor } from "./timeout.ts";

function clientWith(timeoutMs: number) {
  const transport = createRouterTransport(
    ({ service }) =>
      service(NodeService, {
        getNode: () => new Promise(() => {}),
        listNodes: () => ({}),
        async *watchNodes() {
          yield { synced: true };
          await new Promise((resolve) => setTimeout(resolve, 120));
          yield { synced: true };
        },
      }),
    { transport: { interceptors: [unaryTimeoutInterceptor(timeoutMs)] } },
  );
  return createClient(NodeService, transport);
}

test("a call that is not answered ends in words of ours", async () => {
  const call = onNode("n1", () => clientWith(50).getNode({ name: "x" }));
  await expect(call).rejects.toMatchObject({
    kind: "unavailable",
    message: 'node "n1": its agent did not answer in time',
  });
});

test("a call that is answered is left alone", async () => {
  await expect(clientWith(10_000).listNodes({})).resolves.toBeDefined();
});

test("a stream may take longer", async () => {
  let count = 0;
  for await (const _ of clientWith(50).watchNodes({})) count += 1;
  expect(count).toBe(2);
});

describe("a deadline that no timer can wait for", () => {
  test.each([
    ["connect-timeout-ms", "9999999999"],
    ["grpc-timeout", "99999999H"],
    ["grpc-timeout", "99999999S"],
  ])("%s: %s does not end the call at once", async (name, value) => {
    const listener = await listen({
      host: "127.0.0.1",
      port: 0,
      log: silentLog,
      routes: ({ service }) =>
        service(NodeService, {
          listNodes: async (_, { timeoutMs }) => {
            // Longer than the timer that Node makes of it.
            await new Promise((resolve) => setTimeout(resolve, 20));
            return { nodes: [{ name: `deadline ${timeoutMs()}` }] };
          },
        }),
    });
    const options = { baseUrl: listener.url, httpVersion: "2" } as const;
    const isGrpc = name === "grpc-timeout";
    const nodes = createClient(
      NodeService,
      isGrpc ? createGrpcTransport(options) : createConnectTransport(options),
    );
    const { nodes: answered } = await nodes.listNodes({}, { headers: { [name]: value } });
    expect(answered[0]?.name).toBe("deadline undefined");
    await listener.stop(0);
  });
});
