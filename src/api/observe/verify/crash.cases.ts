import {
  DOMAIN_UNDEFINED,
  NAMESPACE_ADDED,
  NETWORK_RULES_DELETED,
  NODE_RULES_DELETED,
  SEED_REMOVED,
  SIDECAR_REMOVED,
  TAP_UNPLUGGED,
} from "../../../../test/crash/by-hand.ts";
import type { Request } from "../../../../test/crash/remote.ts";
import { newDisk, OFF, purged, WEB_GONE, WEB_RUNS } from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";

const spoilt: readonly (readonly [
  what: string,
  harm: Request,
  there: Request[],
  gone: Request[],
])[] = [
  ["a domain that was undefined", DOMAIN_UNDEFINED, [...WEB_RUNS, OFF], WEB_GONE],
  ["a seed that was removed", SEED_REMOVED, WEB_RUNS, WEB_GONE],
  ["a sidecar that was removed", SIDECAR_REMOVED, [newDisk("data")], purged("data")],
  ["rules of a network that were deleted", NETWORK_RULES_DELETED, WEB_RUNS, WEB_GONE],
  ["rules of the node that were deleted", NODE_RULES_DELETED, WEB_RUNS, WEB_GONE],
  ["a tap off its bridge", TAP_UNPLUGGED, WEB_RUNS, WEB_GONE],
  // The rules of the node are needed by another network then, too.
  ["a namespace of nobody", NAMESPACE_ADDED, WEB_RUNS, WEB_GONE],
];

export const scenarios: readonly Scenario[] = spoilt.map(([what, spoil, prepare, cleanUp]) => ({
  name: `Repair: ${what}`,
  prepare,
  spoil,
  call: ["VerifyService/Repair", {}],
  revert: [],
  cleanUp,
}));
