// A server for unauthenticated callers, in a process of its own, so that tests can read its memory.
import { NodeService } from "../../gen/n0stack/pool/v0/node_pb.ts";
import { silentLog } from "../../util/log.ts";
import { listen } from "../listen.ts";

const { port } = await listen({
  host: "127.0.0.1",
  port: 0,
  log: silentLog,
  token: "a-token-of-16-characters",
  routes: ({ service }) => service(NodeService, { getNode: ({ name }) => ({ name }) }),
});
process.stdout.write(`${port}\n`);
