import { RepairOutcome } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import type { RpcCase } from "../saga-cases.ts";
import { driftOf } from "../verify-cases.ts";
import { fillWorld, handsOn, repairIn } from "../verify-world.ts";
import type { World } from "../world.ts";

/** One for each way in which a repair is done, with one finding each. */
const CODES: readonly string[] = [
  "domain.without_vm",
  "vm.without_domain",
  "compute.without_owner",
  "vm.compute_differs",
  "domain.cpu_differs",
  "vm.state_differs",
  "vm.seed_missing",
  "disk.backing_differs",
  "volume.mark_lost",
  "replica.missing",
  "tap.not_connected",
  "network.without_owner",
  "network.rules_broken",
  "node.rules_broken",
];

export const verifyCases: readonly RpcCase[] = CODES.map((code) => ({
  rpc: "Repair",
  about: code,
  nodeCount: 2,
  async prepare(world) {
    await fillWorld(world);
    await driftOf(code)(handsOn(world));
  },
  call: repairOrThrow,
}));

async function repairOrThrow(world: World): Promise<void> {
  for (const { outcome, error } of await repairIn(world)) {
    if (outcome !== RepairOutcome.REPAIRED) throw new Error(error);
  }
}
