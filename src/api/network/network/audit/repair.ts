import { unchanged } from "../../../../datastore/collection.ts";
import { merge } from "../../../../datastore/datastore.ts";
import type { Stored } from "../../../../datastore/records.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import { later } from "../../../../transaction/step.ts";
import type { Ref } from "../../../../util/ref.ts";
import type * as audit from "../../../core/audit/finding.ts";
import type { Api } from "../../context.ts";
import { type InterfaceReservation, interfaces } from "../../interface/collection.ts";
import {
  releaseInterface,
  removeInterface,
  takeUniques,
  uniques,
} from "../../interface/interfaces.ts";
import { takeVni } from "../../segment/vni.ts";
import { networks } from "../collection.ts";
import { gatewayOf, reserveGateway } from "../commit-cidrs.ts";
import {
  type NetworkPlace,
  type NodeNetwork,
  restoreNetwork,
  restoreSegment,
  settleRules,
  sweep,
} from "../node-network-steps.ts";

type Repair = audit.Repair<Api>;

export function makeNetworkWhole(network: NodeNetwork): Repair {
  return (tx) => tx.commit({}, later(restoreNetwork, network));
}

export function sweepNetwork(nodeName: string, network: Ref): Repair {
  return (tx) => tx.commit({}, later(sweep, { nodeName, network }));
}

export function makeSegmentAgain(place: NetworkPlace): Repair {
  return (tx) => tx.commit({}, later(restoreSegment, place));
}

export function takeVniAgain(ref: Ref, network: Network): Repair {
  return async (tx) => {
    await tx.commit(await takeVni(tx.context.api, ref, undefined, network));
  };
}

export function settleNodeRules(nodeName: string): Repair {
  return (tx) => tx.commit({}, later(settleRules, { nodeName }));
}

export function reserveGatewayAgain(ref: Ref, network: Network): Repair {
  return (tx) => tx.commit(reserveGateway(ref, undefined, gatewayOf(ref, network, tx.id)));
}

/** Leaves those of its addresses that belong to another interface. */
export function releaseInterfaceOfNobody(
  network: Ref,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const own = await ownUniques(tx.context.api, network, value);
    const isNetwork = (await tx.context.api.records.find(networks, network)) !== undefined;
    const release = isNetwork ? releaseInterface : removeInterface;
    const same = unchanged(interfaces, [network, value.name], revision);
    await tx.commit(merge(release(network, value, own), same));
  };
}

/** Takes the free ones of the things that the interface should have. */
export function takeFreeUniques(
  network: Ref,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const free = await freeUniques(tx.context.api, network, value);
    const same = unchanged(interfaces, [network, value.name], revision);
    await tx.commit(merge(takeUniques(free), same));
  };
}

/** Of the things that the interface should have, those that it has. */
async function ownUniques(api: Api, network: Ref, reserved: InterfaceReservation) {
  const found = await usersOf(api, network, reserved);
  return found.flatMap(({ unique, usedBy }) => (usedBy === unique.value.usedBy ? [unique] : []));
}

/** Of the things that the interface should have, the free ones. */
async function freeUniques(api: Api, network: Ref, reserved: InterfaceReservation) {
  const found = await usersOf(api, network, reserved);
  return found.flatMap(({ unique, usedBy }) => (usedBy === undefined ? [unique] : []));
}

async function usersOf({ records }: Api, network: Ref, reserved: InterfaceReservation) {
  const found = [];
  for (const unique of uniques(network, reserved)) {
    const stored = await records.find(unique.of, ...unique.parts);
    found.push({ unique, usedBy: stored?.value.usedBy });
  }
  return found;
}
