import { put, putNew, remove, unchanged } from "../../../../datastore/collection.ts";
import { merge } from "../../../../datastore/datastore.ts";
import type { Stored } from "../../../../datastore/records.ts";
import { later } from "../../../../transaction/step.ts";
import type * as audit from "../../../core/audit/finding.ts";
import type { Api } from "../../context.ts";
import {
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
} from "../../interface/collection.ts";
import { uniques } from "../../interface/interfaces.ts";
import { networks } from "../collection.ts";
import { type NodeNetwork, restoreNetwork, settleRules, sweep } from "../node-network-steps.ts";

type Repair = audit.Repair<Api>;
type UsedBy = { readonly usedBy: string };

export function makeNetworkWhole(network: NodeNetwork): Repair {
  return (tx) => tx.commit({}, later(restoreNetwork, network));
}

export function sweepNetwork(nodeName: string, networkName: string): Repair {
  return (tx) => tx.commit({}, later(sweep, { nodeName, networkName }));
}

export function settleNodeRules(nodeName: string): Repair {
  return (tx) => tx.commit({}, later(settleRules, { nodeName }));
}

/** What of its addresses is another's stays. */
export function releaseInterfaceOfNobody(
  networkName: string,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const { records } = tx.context.api;
    const own = [];
    for (const { of, parts } of uniques(networkName, value)) {
      const stored = await records.find<UsedBy>(of, ...parts);
      if (stored?.value.usedBy === value.name) own.push(remove<UsedBy>(of, ...parts));
    }
    const isNetwork = (await records.find(networks, networkName)) !== undefined;
    await tx.commit(
      merge(
        remove(interfaces, networkName, value.name),
        unchanged(interfaces, [networkName, value.name], revision),
        ...own,
        isNetwork ? put(interfaceAllocations, [networkName], {}) : {},
      ),
    );
  };
}

/** Takes what is free of what the interface says it has. */
export function takeUniques(
  networkName: string,
  { value, revision }: Stored<InterfaceReservation>,
): Repair {
  return async (tx) => {
    const missing = [];
    for (const { of, parts } of uniques(networkName, value)) {
      const stored = await tx.context.api.records.find<UsedBy>(of, ...parts);
      if (stored === undefined) missing.push(putNew<UsedBy>(of, parts, { usedBy: value.name }));
    }
    const same = unchanged(interfaces, [networkName, value.name], revision);
    await tx.commit(merge(...missing, same));
  };
}
