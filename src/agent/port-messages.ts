import type { GuestEntry } from "../driver/network/network-services.ts";
import { type PortLimits, portLimits } from "../driver/network/port-limits.ts";
import type { PortSpec } from "../driver/network/security-groups.ts";
import type {
  GuestEntry as WireEntry,
  PortGroups as WireGroups,
  PortIdentity as WireIdentity,
  PortLimits as WireLimits,
} from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { defined, nonEmpty } from "../util/defined.ts";
import { groupFromWire, identityFromWire } from "./group-messages.ts";

interface PortRequest {
  readonly identity?: WireIdentity | undefined;
  readonly groups?: WireGroups | undefined;
  readonly limits?: WireLimits | undefined;
  readonly entry?: WireEntry | undefined;
}

/** What an API does not say stays as it is. @throws N0Error `invalid_argument` for limits that no nic can have. */
export function portFromWire({ identity, groups, limits, entry }: PortRequest): PortSpec {
  return defined({
    identity: identity && identityFromWire(identity),
    groups: groups && (groups.off ? ("off" as const) : groups.groups.map(groupFromWire)),
    limits: limits && limitsFromWire(limits),
    entry: entry && entryFromWire(entry),
  });
}

/** @throws N0Error `invalid_argument` for limits that no nic can have. */
export function limitsFromWire(limits: WireLimits): PortLimits {
  const { ingressBitsPerSecond, ingressBurstBytes, egressBitsPerSecond, egressBurstBytes } = limits;
  return portLimits(
    { bitsPerSecond: ingressBitsPerSecond, burstBytes: ingressBurstBytes },
    { bitsPerSecond: egressBitsPerSecond, burstBytes: egressBurstBytes },
  );
}

export function entryFromWire({
  hardwareAddress,
  name,
  ipv4Address,
  ipv6Address,
}: WireEntry): GuestEntry {
  return {
    hardwareAddress,
    ...defined({
      name: nonEmpty(name),
      ipv4Address: nonEmpty(ipv4Address),
      ipv6Address: nonEmpty(ipv6Address),
    }),
  };
}
