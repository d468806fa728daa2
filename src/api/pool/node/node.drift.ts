import type { Drifts } from "../../../../test/drift.ts";
import { nodeRef } from "../../../util/ref.ts";
import { allocations, computes } from "../inventory/collection.ts";
import { nodes } from "./collection.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "node.unreachable": {
    drift: ({ world }) => {
      world.fakeNodes[1]!.isDown = true;
    },
    left: ["node.unreachable"],
  },
  "node.capacity_differs": {
    drift: async (hands) => {
      const { memoryBytes, storageBytes } = await hands.read(nodes, nodeRef("node-1"));
      const capacity = { cpuMilliCores: 96_000, memoryBytes, storageBytes };
      hands.world.fakeNodes[0]!.capacity = capacity;
    },
  },
  "node.overcommitted": {
    drift: async (hands) => {
      const compute = await hands.read(computes, "node-1", "web");
      const counted = { ...compute.counted, cpuMilliCores: 64_001 };
      await hands.write(computes, ["node-1", "web"], { ...compute, counted });
    },
    left: ["node.overcommitted"],
  },
  "allocation.without_owner": {
    drift: ({ write }) => write(allocations, ["node-9"], {}),
  },
};
