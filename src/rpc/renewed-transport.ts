import type { Transport } from "@connectrpc/connect";
import type { PeerTransport } from "./transport.ts";

/**
 * A transport that uses the newest certificate for new connections. A call that runs keeps its connection.
 *
 * @param open Opens a transport with the present certificate.
 * @param version Changes with the certificate.
 */
export function renewedTransport(open: () => PeerTransport, version: () => string): PeerTransport {
  let present = { version: version(), transport: open() };
  let retired: PeerTransport[] = [];
  const use = (): Transport => {
    const now = version();
    if (now !== present.version) {
      retired.push(present.transport);
      present = { version: now, transport: open() };
    }
    retired = retired.filter((one) => {
      const isIdle = one.isIdle();
      if (isIdle) one.close();
      return !isIdle;
    });
    return present.transport;
  };
  return {
    unary: (...call) => use().unary(...call),
    stream: (...call) => use().stream(...call),
    isIdle: () => [present.transport, ...retired].every((one) => one.isIdle()),
    close: () => {
      for (const one of [present.transport, ...retired.splice(0)]) one.close();
    },
  };
}
