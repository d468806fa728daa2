import { later } from "../../../transaction/step.ts";
import { parseRefOf } from "../../../util/ref.ts";
import { restoreNetwork, settleRules, sweep } from "../../network/network/node-network-steps.ts";
import { moveTap, removeTapLater, type Tap } from "../../provisioning/virtual-machine/tap-steps.ts";
import { commit } from "./commit.ts";
import type { Repair } from "./finding.ts";

export function connectTap(tap: Tap): Repair {
  return (tx) => commit(tx, {}, later(moveTap, tap));
}

export function makeNetworkWhole({ nodeName, networkName, ipv4Gateway, ipv6Gateway }: Tap): Repair {
  const network = { nodeName, networkName, ipv4Gateway, ipv6Gateway };
  return (tx) => commit(tx, {}, later(restoreNetwork, network));
}

/** `owner` is what the tap's mark says; a tap without one is anybody's to remove. */
export function removeTap(
  nodeName: string,
  tapName: string,
  owner: string,
  networkName: string,
): Repair {
  const tap: Tap = {
    nodeName,
    tapName,
    name: parseRefOf("virtual_machine", owner)?.name ?? owner,
    // Its last tap takes a network along; one that is in none takes nothing.
    networkName: networkName === "" ? "none" : networkName,
    ipv4Gateway: "",
    ipv6Gateway: "",
  };
  return (tx) => commit(tx, {}, later(removeTapLater, tap));
}

export function sweepNetwork(nodeName: string, networkName: string): Repair {
  return (tx) => commit(tx, {}, later(sweep, { nodeName, networkName }));
}

export function settleNodeRules(nodeName: string): Repair {
  return (tx) => commit(tx, {}, later(settleRules, { nodeName }));
}
