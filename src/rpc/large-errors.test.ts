/** What a client is told of is bounded, so that it arrives, and the connection with it. */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { TRANSPORTS } from "../../test/transports.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { N0Error } from "../util/errors.ts";
import { silentLog } from "../util/log.ts";
import { listen } from "./listen.ts";

test.each(TRANSPORTS)(
  "over %s, beside another call on the same connection",
  async (_, transport) => {
    const told = Promise.withResolvers<void>();
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      log: silentLog,
      routes: ({ service }) =>
        service(NodeService, {
          getNode: () => {
            throw new N0Error("aborted", "中".repeat(1 << 20), {
              field: "名".repeat(1 << 20),
              resource: "物".repeat(1 << 20),
              retryAfterMs: 500,
            });
          },
          async *watchNodes() {
            yield { deletedName: "first" };
            await told.promise;
            yield { deletedName: "second" };
          },
        }),
    });
    const client = createClient(NodeService, transport(server.url));
    const watch = client.watchNodes({})[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ deletedName: "first" });
    const error = ConnectError.from(
      await client.getNode({ name: "a" }).catch((reason: unknown) => reason),
    );
    expect(error.code).toBe(Code.Aborted);
    expect(error.rawMessage).toMatch(/^中{600,681}…$/u);
    told.resolve();
    expect((await watch.next()).value).toMatchObject({ deletedName: "second" });
    await server.stop(0);
  },
);
