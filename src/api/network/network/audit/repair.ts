import { unchanged } from "../../../../datastore/collection.ts";
import { merge } from "../../../../datastore/datastore.ts";
import type { Stored } from "../../../../datastore/records.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import { later } from "../../../../transaction/step.ts";
import type * as audit from "../../../core/audit/finding.ts";
import type { Api } from "../../context.ts";
import { type InterfaceReservation, interfaces } from "../../interface/collection.ts";
import {
  releaseInterface,
  removeInterface,
  takeUniques,
  uniques,
} from "../../interface/interfaces.ts";
import { networks } from "../collection.ts";
import { gatewayOf, reserveGateway } from "../commit-cidrs.ts";
import { type NodeNetwork, restoreNetwork, settleRules, sweep } from "../node-network-steps.ts";
import { occupy } from "../occupied.ts";
import { cidrsOf } from "../record.ts";

type Repair = audit.Repair<Api>;

export function makeNetworkWhole(network: NodeNetwork): Repair {
  return (tx) => tx.commit({}, later(restoreNetwork, network));
}

export function sweepNetwork(nodeName: string, networkName: string): Repair {
  return (tx) => tx.commit({}, later(sweep, { nodeName, networkName }));
}

export function settleNodeRules(nodeName: string): Repair {
  return (tx) => tx.commit({}, later(settleRules, { nodeName }));
}

export function occupyAgain(network: Network): Repair {
  return async (tx) => {
    await tx.commit(await occupy(tx.context.api, network.name, cidrsOf(network)));
  };
}

export function reserveGatewayAgain(network: Network): Repair {
  return (tx) => tx.commit(reserveGateway(network.name, undefined, gatewayOf(network, tx.id)));
}

/** What of its addresses is another's stays. */
export function releaseInterfaceOfNobody(
  networkName: string,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const own = await uniquesUsedBy(tx.context.api, networkName, value, value.name);
    const isNetwork = (await tx.context.api.records.find(networks, networkName)) !== undefined;
    const release = isNetwork ? releaseInterface : removeInterface;
    const same = unchanged(interfaces, [networkName, value.name], revision);
    await tx.commit(merge(release(networkName, value, own), same));
  };
}

/** Takes what is free of what the interface says it has. */
export function takeFreeUniques(
  networkName: string,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const free = await uniquesUsedBy(tx.context.api, networkName, value, undefined);
    const same = unchanged(interfaces, [networkName, value.name], revision);
    await tx.commit(merge(takeUniques(value, free), same));
  };
}

/** Of what the interface says it has, that which this one has; undefined: which none has. */
async function uniquesUsedBy(
  { records }: Api,
  networkName: string,
  reserved: InterfaceReservation,
  user: string | undefined,
) {
  const found = [];
  for (const unique of uniques(networkName, reserved)) {
    const stored = await records.find(unique.of, ...unique.parts);
    if (stored?.value.usedBy === user) found.push(unique);
  }
  return found;
}
