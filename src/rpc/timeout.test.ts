import { createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { onNode } from "./errors.ts";
import { unaryTimeoutInterceptor } from "./timeout.ts";

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
  { transport: { interceptors: [unaryTimeoutInterceptor(50)] } },
);
const client = createClient(NodeService, transport);

test("a call that is not answered ends in words of ours", async () => {
  const call = onNode("n1", () => client.getNode({ name: "x" }));
  await expect(call).rejects.toMatchObject({
    kind: "unavailable",
    message: 'node "n1": its agent did not answer in time',
  });
});

test("a call that is answered is left alone", async () => {
  await expect(client.listNodes({})).resolves.toBeDefined();
});

test("a stream may take longer", async () => {
  let count = 0;
  for await (const _ of client.watchNodes({})) count += 1;
  expect(count).toBe(2);
});
