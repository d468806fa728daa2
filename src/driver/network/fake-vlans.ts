import type { FakeNetwork } from "./fake-groups.ts";
import type { NetworkSpec } from "./network-driver.ts";
import { externalRefused } from "./network-errors.ts";
import type { ExternalSurvey } from "./network-survey.ts";

/** The device of a fake node whose VLANs networks join. */
export interface FakeVlans {
  readonly device: string;
  /** Whether the kernel has VLAN devices. */
  readonly hasTags: boolean;
}

const NO_TAGS = "the kernel of the node has no VLAN devices (802.1q)";

export function vlanObstacle(vlans: FakeVlans | undefined): string | undefined {
  return vlans?.hasTags === false ? NO_TAGS : undefined;
}

/** A node without a device for VLANs joins none. @throws N0Error `failed_precondition`. */
export function checkVlan(vlans: FakeVlans | undefined, { name, vlanId }: NetworkSpec): void {
  if (vlans === undefined || vlanId === undefined || vlanId === 0 || vlans.hasTags) return;
  throw externalRefused(name, vlanId, NO_TAGS);
}

export function externalOf(
  vlans: FakeVlans | undefined,
  { vlanId }: FakeNetwork,
): ExternalSurvey | undefined {
  if (vlans === undefined) return undefined;
  const { device } = vlans;
  return vlanId === undefined ? { device, state: "absent" } : { device, state: "whole", vlanId };
}
