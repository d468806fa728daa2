import type { TraceNetworkRequest } from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import type { Family } from "../../../util/cidr.ts";
import { invalid } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { icmpTypeOf, protocolNumber } from "../../../util/security-rule.ts";

/** What the first packet of a connection says of itself, besides its addresses. */
export interface Packet {
  readonly protocol: number;
  readonly port?: number;
  readonly icmp?: readonly [number, number];
  /** Such as `tcp to port 443`. */
  readonly text: string;
}

const TCP = 6;
const WITH_PORTS: ReadonlySet<number> = new Set([TCP, 17, 132]);
/** The protocol number and the type of an echo request. */
const ICMP: Readonly<Record<Family, { readonly protocol: number; readonly echo: number }>> = {
  4: { protocol: 1, echo: 8 },
  6: { protocol: 58, echo: 128 },
};

/** @throws N0Error `invalid_argument`. */
export function packetOf(
  { protocol, port, icmpType }: TraceNetworkRequest,
  family: Family,
): Packet {
  const number = numberOf(protocol, port, family);
  const isIcmp = number === ICMP[4].protocol || number === ICMP[6].protocol;
  if (port !== 0 && !WITH_PORTS.has(number)) {
    throw invalid("port", "must be 0 unless protocol is tcp, udp or sctp");
  }
  if (port === 0 && WITH_PORTS.has(number)) {
    throw invalid("port", `is required with the protocol ${protocol}`);
  }
  if (icmpType !== "" && !isIcmp) {
    throw invalid("icmp_type", "must be empty unless protocol is icmp or icmpv6");
  }
  if (isIcmp && number !== ICMP[family].protocol) {
    throw invalid("protocol", `${quote(protocol)} is not of IPv${family}`);
  }
  if (isIcmp) return pingOf(icmpType, number, family);
  const word = protocol === "" ? "tcp" : protocol;
  if (port === 0) return { protocol: number, text: `protocol ${word}` };
  return { protocol: number, port, text: `${word} to port ${port}` };
}

function numberOf(protocol: string, port: number, family: Family): number {
  if (protocol === "") return port === 0 ? ICMP[family].protocol : TCP;
  const number = protocolNumber(protocol);
  if (number !== undefined) return number;
  throw invalid(
    "protocol",
    `must be tcp, udp, sctp, icmp, icmpv6 or a number up to 255, got ${quote(protocol)}`,
  );
}

function pingOf(icmpType: string, protocol: number, family: Family): Packet {
  if (icmpType === "") return { protocol, icmp: [ICMP[family].echo, 0], text: "a ping" };
  const [type, code = 0] = icmpTypeOf(icmpType) ?? [];
  if (type === undefined)
    throw invalid("icmp_type", "must be a type such as 8, or with its code 3/4");
  return { protocol, icmp: [type, code], text: `ICMP of type ${type}/${code}` };
}
