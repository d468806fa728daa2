import { createClient } from "@connectrpc/connect";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import type { PeerOptions, PeerTransport } from "../rpc/transport.ts";
import { AGENT_PORT_DEFAULT, openTransport } from "../rpc/transport.ts";
import type { VolumePeer } from "./agent-deps.ts";

export interface Peers extends Disposable {
  /** The agent at `address`. Nothing is connected before the first call. @throws N0Error `invalid_argument` */
  connect(address: string): VolumePeer;
}

/** The other nodes' agents: one connection to each, opened when it is first needed. */
export function newPeers(options: PeerOptions): Peers {
  const transports = new Map<string, PeerTransport>();
  return {
    connect(address) {
      const transport =
        transports.get(address) ?? openTransport(address, AGENT_PORT_DEFAULT, options);
      transports.set(address, transport);
      return createClient(VolumeAgentService, transport);
    },
    [Symbol.dispose]() {
      for (const transport of transports.values()) transport.close();
      transports.clear();
    },
  };
}
