import { burstBytesOf, checkNicRate, type NicRate } from "../../util/nic-rate.ts";

/** The limits of the traffic of a guest on one nic; undefined for no limit. */
export interface PortLimits {
  /** What the guest receives. */
  readonly ingress?: PortRate;
  /** What it sends. */
  readonly egress?: PortRate;
}

export interface PortRate {
  readonly bytesPerSecond: number;
  /** In addition to what the rate gives in one second. */
  readonly burstBytes: number;
}

/** @throws N0Error `invalid_argument` that names the field of the request. */
export function portLimits(ingress: NicRate, egress: NicRate): PortLimits {
  const [into, from] = [rateOf("limits.ingress_", ingress), rateOf("limits.egress_", egress)];
  return {
    ...(into === undefined ? {} : { ingress: into }),
    ...(from === undefined ? {} : { egress: from }),
  };
}

function rateOf(prefix: string, rate: NicRate): PortRate | undefined {
  checkNicRate(prefix, rate);
  if (rate.bitsPerSecond === 0n) return undefined;
  return {
    bytesPerSecond: Number(rate.bitsPerSecond / 8n),
    burstBytes: Number(burstBytesOf(rate)),
  };
}

export function isSameLimits(one: PortLimits, other: PortLimits): boolean {
  return isSameRate(one.ingress, other.ingress) && isSameRate(one.egress, other.egress);
}

function isSameRate(one: PortRate | undefined, other: PortRate | undefined): boolean {
  return one?.bytesPerSecond === other?.bytesPerSecond && one?.burstBytes === other?.burstBytes;
}
