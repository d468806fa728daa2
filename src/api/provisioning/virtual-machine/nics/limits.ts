import type { VirtualMachineNIC } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { burstBytesOf, checkNicRate, type NicRate } from "../../../../util/nic-rate.ts";

/** The fields of a nic, and of a request to change its limits. */
export type LimitFields = Pick<
  VirtualMachineNIC,
  "ingressBitsPerSecond" | "ingressBurstBytes" | "egressBitsPerSecond" | "egressBurstBytes"
>;

/** The limits in the input of a step; decimal. */
export type TapLimits = {
  readonly ingressBitsPerSecond: string;
  readonly ingressBurstBytes: string;
  readonly egressBitsPerSecond: string;
  readonly egressBurstBytes: string;
};

export const NO_LIMITS: TapLimits = {
  ingressBitsPerSecond: "0",
  ingressBurstBytes: "0",
  egressBitsPerSecond: "0",
  egressBurstBytes: "0",
};

/** @throws N0Error `invalid_argument` that names the field. */
export function checkLimits(prefix: string, fields: LimitFields): void {
  const { ingress, egress } = ratesOf(fields);
  checkNicRate(`${prefix}ingress_`, ingress);
  checkNicRate(`${prefix}egress_`, egress);
}

function ratesOf(fields: LimitFields) {
  const ingress: NicRate = {
    bitsPerSecond: fields.ingressBitsPerSecond,
    burstBytes: fields.ingressBurstBytes,
  };
  const egress: NicRate = {
    bitsPerSecond: fields.egressBitsPerSecond,
    burstBytes: fields.egressBurstBytes,
  };
  return { ingress, egress };
}

/** The fields alone, without the rest of a message. */
export function limitsOf(fields: LimitFields): LimitFields {
  const { ingressBitsPerSecond, ingressBurstBytes, egressBitsPerSecond, egressBurstBytes } = fields;
  return { ingressBitsPerSecond, ingressBurstBytes, egressBitsPerSecond, egressBurstBytes };
}

/** What its node is told. A node counts in bytes. */
export function tapLimits(fields: LimitFields): TapLimits {
  const { ingress, egress } = ratesOf(fields);
  const [into, from] = [onNode(ingress), onNode(egress)];
  return {
    ingressBitsPerSecond: into.bitsPerSecond,
    ingressBurstBytes: into.burstBytes,
    egressBitsPerSecond: from.bitsPerSecond,
    egressBurstBytes: from.burstBytes,
  };
}

function onNode(rate: NicRate) {
  const { bitsPerSecond } = rate;
  const burstBytes = bitsPerSecond === 0n ? 0n : burstBytesOf(rate);
  return { bitsPerSecond: `${(bitsPerSecond / 8n) * 8n}`, burstBytes: `${burstBytes}` };
}

export function limitsMessage(limits: TapLimits): LimitFields {
  return {
    ingressBitsPerSecond: BigInt(limits.ingressBitsPerSecond),
    ingressBurstBytes: BigInt(limits.ingressBurstBytes),
    egressBitsPerSecond: BigInt(limits.egressBitsPerSecond),
    egressBurstBytes: BigInt(limits.egressBurstBytes),
  };
}

/** For people. */
export function limitsText(limits: TapLimits): string {
  const text = (what: string, bits: string, bytes: string) =>
    bits === "0" ? [] : [`${what} ${bits} bits per second, burst ${bytes} bytes`];
  const texts = [
    ...text("ingress", limits.ingressBitsPerSecond, limits.ingressBurstBytes),
    ...text("egress", limits.egressBitsPerSecond, limits.egressBurstBytes),
  ];
  return texts.join("; ") || "none";
}

export function hasLimits(limits: TapLimits): boolean {
  return limits.ingressBitsPerSecond !== "0" || limits.egressBitsPerSecond !== "0";
}
