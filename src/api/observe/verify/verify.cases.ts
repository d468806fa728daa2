import type { Examples } from "../../../../test/attack/example-parts.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { DRIFT_CASES } from "../../../../test/verify-cases.ts";
import { fillWorld, handsOn, repairIn } from "../../../../test/verify-world.ts";
import type { World } from "../../../../test/world.ts";
import { RepairOutcome } from "../../../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { defined } from "../../../util/defined.ts";

export const rpcCases: readonly RpcCase[] = Object.entries(DRIFT_CASES)
  .filter(([, { isUnwound }]) => isUnwound === true)
  .map(([code, { drift, toldAtStart }]) => ({
    rpc: "Repair",
    about: code,
    ...defined({ toldAtStart }),
    nodeCount: 2,
    async prepare(world) {
      await fillWorld(world);
      await drift(handsOn(world));
    },
    call: repairOrThrow,
  }));

export const examples: Examples = { Verify: {}, Repair: {} };

async function repairOrThrow(world: World): Promise<void> {
  for (const { outcome, error } of await repairIn(world)) {
    if (outcome !== RepairOutcome.REPAIRED) throw new Error(error);
  }
}
