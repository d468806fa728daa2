import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { listen } from "../rpc/listen.ts";
import { openTransport } from "../rpc/transport.ts";
import { silentLog } from "../util/log.ts";
import { readPeerVolume } from "./peer-volume.ts";

const never = new AbortController().signal;

test("a server that is not an agent gives no volume, and the error says why", async () => {
  const api = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: ({ service }) => service(NodeService, {}),
  });
  const transport = openTransport(api.url, 1);
  try {
    const connectPeer = () => createClient(VolumeAgentService, transport);
    const reading = collect(
      readPeerVolume(connectPeer, api.url, { id: "disk", ticket: "" }, never, () => {}),
    );
    await expect(reading).rejects.toMatchObject({
      kind: "failed_precondition",
      message: expect.stringMatching(/is not an agent: .*standalone/),
    });
  } finally {
    transport.close();
    await api.stop(0);
  }
});
