import type { PeerOptions, PeerTransport } from "../rpc/transport.ts";
import { AGENT_PORT_DEFAULT, openTransport } from "../rpc/transport.ts";

/** One connection to each agent that is talked to. */
export interface Peers extends Disposable {
  transportTo(address: string): PeerTransport;
}

export function openPeers(options: PeerOptions): Peers {
  const transports = new Map<string, PeerTransport>();
  return {
    transportTo: (address) => {
      const known = transports.get(address);
      if (known !== undefined) return known;
      const transport = openTransport(address, AGENT_PORT_DEFAULT, options);
      transports.set(address, transport);
      return transport;
    },
    [Symbol.dispose]: () => {
      for (const transport of transports.values()) transport.close();
    },
  };
}
