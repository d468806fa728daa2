import type { ApplyNetworkRequest, Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { VLAN_ID } from "../../core/annotations.ts";
import type { Api } from "../context.ts";
import type { InterfaceReservation } from "../interface/collection.ts";
import { guestOf } from "../interface/guests.ts";
import { defaultMtu } from "../segment/mtu.ts";
import { vlanOf } from "./vlan.ts";

/** How far the packets of a network go, and how large they are. */
type Reach = Pick<Network, "isolated" | "mtu" | "annotations">;

/** What the network has after the request, which may leave its MTU open. */
export function reachOf(
  { isolated, mtu, annotations }: Pick<ApplyNetworkRequest, "isolated" | "mtu" | "annotations">,
  before: Network | undefined,
): Reach {
  const kept = before?.isolated === isolated ? before.mtu : 0;
  return { isolated, annotations, mtu: mtu || kept || defaultMtu(isolated) };
}

export function hasSameReach(before: Reach, after: Reach): boolean {
  const isSameVlan = vlanOf(before) === vlanOf(after);
  return isSameVlan && before.isolated === after.isolated && before.mtu === after.mtu;
}

/**
 * A guest learns the MTU when it starts, and counts on whom it reaches.
 *
 * @throws N0Error `failed_precondition` that names the field.
 */
export function throwIfReachNeeded(
  api: Api,
  ref: Ref,
  before: Network | undefined,
  after: Network,
  reserved: readonly InterfaceReservation[],
): void {
  if (before === undefined || hasSameReach(before, after)) return;
  if (!reserved.some((one) => guestOf(api, one) !== undefined)) return;
  const [field, was] = changeOf(before, after);
  throw new N0Error(
    "failed_precondition",
    `${field}: network "${ref.name}" ${was}, which cannot change while virtual machines have nics in it: ` +
      "delete them first, or make another network",
    { field, resource: formatRef(ref) },
  );
}

function changeOf(before: Reach, after: Reach): readonly [field: string, was: string] {
  if (before.isolated !== after.isolated) {
    return ["isolated", before.isolated ? "is isolated" : "is not isolated"];
  }
  if (before.mtu !== after.mtu) return ["mtu", `has ${before.mtu}`];
  const vlanId = vlanOf(before);
  const was = vlanId === undefined ? "joins no VLAN" : `joins VLAN ${vlanId}`;
  return [`annotations["${VLAN_ID}"]`, was];
}
